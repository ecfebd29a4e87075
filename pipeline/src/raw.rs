//! The raw tree, read once and never written: its files are paired by name ([`pair`]), read and hashed ([`content`]), and
//! what their annotations say is parsed ([`annotation`]). [`scan::scan`] does all of it:
//!
//! ```no_run
//! use logodex_pipeline::raw::scan::scan;
//!
//! let tree = scan("/data/LogoDet-3K".as_ref())?;
//! println!("{} images, {} files refused", tree.samples.len(), tree.rejects.len());
//! # anyhow::Ok(())
//! ```

pub mod annotation;
pub mod budget;
pub mod content;
pub mod format;
pub mod listing;
pub mod name;
pub mod pair;
pub mod reject;
pub mod scan;
