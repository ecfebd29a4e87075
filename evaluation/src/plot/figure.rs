//! A panel with its caption: what stands on a page or in a file of its own.

use crate::plot::colours::RGBColor;
use crate::plot::panel::Panel;

/// A panel with its caption.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What its files are called: letters, digits and hyphens.
    pub name: String,
    /// The lines or dots by name, where there are several.
    pub legend: Vec<(RGBColor, String)>,
    /// What is shown, where the page names the model or groups several.
    pub caption: String,
    /// What is shown, where it stands alone.
    pub title: String,
    /// The panel.
    pub panel: Panel,
}

/// A name for files: lower case, with a hyphen for whatever is neither letter nor digit.
pub fn slug(name: &str) -> String {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(word).collect()
}
