//! A forest plot: lines of a list, each named at the left and with its interval or intervals.

use crate::plot::axis::Axis;
use crate::plot::mark::Mark;
use crate::plot::panel::Panel;

/// Two in a row on a page, pixels as shown.
const WIDTH: u32 = 540;
/// Height of a line.
const LINE: u32 = 21;
/// Room for the names.
const LEFT: u32 = 176;

/// A panel of `lines` lines, whose names are the `ticks` of its vertical axis: the last line from 0 to 1, the one above
/// from 1 to 2.
pub fn forest(
    x: Axis,
    ticks: Vec<(f64, String)>,
    lines: usize,
    marks: Vec<Mark>,
    description: String,
) -> Panel {
    Panel {
        width: WIDTH,
        height: 16 + 22 + lines as u32 * LINE,
        left: LEFT,
        x,
        y: Axis {
            low: 0.0,
            high: lines as f64,
            ticks,
        },
        x_title: String::new(),
        rules_at_y: false,
        marks,
        description,
    }
}

/// A name that fits beside a line.
pub fn short(name: &str) -> String {
    match name.chars().count() > 25 {
        true => format!("{}…", name.chars().take(24).collect::<String>()),
        false => name.to_owned(),
    }
}
