//! Draws: a [`Panel`] of [`Mark`]s over two axes as SVG, a [`Figure`] of it with its caption, and its pixels as PNG.
//!
//! Knows nothing of models and evaluations.
//!
//! ```
//! use logodex_evaluation::plot::{Axis, Dash, Mark, Panel, colour};
//!
//! let panel = Panel {
//!     width: 350,
//!     height: 190,
//!     left: 40,
//!     x: Axis::round(0.0, 10.0, 5, false),
//!     y: Axis::round(0.0, 0.83, 4, true),
//!     x_title: "epoch".to_owned(),
//!     rules_at_y: true,
//!     marks: vec![Mark::Line(vec![(0.0, 0.4), (10.0, 0.8)], colour(0), Dash::Solid)],
//!     description: "F1 over the epochs".to_owned(),
//! };
//! let svg = panel.standalone("F1", &[(colour(0), "a run".to_owned())])?;
//! assert!(svg.starts_with("<svg xmlns="));
//! # anyhow::Ok(())
//! ```

pub mod axis;
pub mod colours;
pub mod figure;
pub mod forest;
mod frame;
pub mod mark;
pub mod panel;
pub mod raster;

pub use axis::Axis;
pub use colours::{INK, MUTED, RGBColor, colour};
pub use figure::Figure;
pub use mark::{Dash, Mark};
pub use panel::Panel;
