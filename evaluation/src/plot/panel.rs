//! A panel: marks over two axes, as an SVG that takes its colours from the page.
//!
//! Drawn with plotters' SVG backend. Each colour of the palette is one fixed `#RRGGBB`; the page's style sheet maps
//! these to its light and dark values, so the drawing needs to know of neither.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::plot::axis::Axis;
use crate::plot::colours::{GRID, INK, MUTED, hex};
use crate::plot::frame::{Area, Frame, line, px, text};
use crate::plot::mark::{Mark, draw_mark};

/// Size of a small panel, three in a row on a page, pixels as shown.
pub const SMALL: (u32, u32) = (350, 190);
/// Room for words at the left of an ordinary panel.
pub const LEFT: u32 = 40;

/// Height of a line above a panel that stands alone.
const TITLE: u32 = 20;

/// Width of a digit of a tick, pixels as shown.
const DIGIT: f64 = 7.0;

/// A panel. Sizes are pixels as shown.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Room for the words at the left, at least; ticks that are longer get theirs.
    pub left: u32,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What the horizontal axis measures.
    pub x_title: String,
    /// Whether rules run along the vertical axis' ticks (else along the horizontal one's).
    pub rules_at_y: bool,
    /// In this order, later ones on top.
    pub marks: Vec<Mark>,
    /// Read out by screen readers.
    pub description: String,
}

impl Panel {
    /// The panel as an `<svg>` element without fixed size, for a page.
    ///
    /// # Errors
    /// None is expected: drawing goes to memory.
    pub fn svg(&self) -> Result<String> {
        let size = (
            px(self.width.into()).cast_unsigned(),
            px(self.height.into()).cast_unsigned(),
        );
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            self.draw(&area)
                .map_err(|e| anyhow!("cannot draw a figure: {e}"))?;
        }
        let fixed = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
        let label = minijinja::HtmlEscape(&self.description);
        Ok(svg.replacen(&fixed, &format!("role=\"img\" aria-label=\"{label}\""), 1))
    }

    /// The panel as a file of its own: on white, twice as large as on a page, below `title` and the names of `legend`.
    ///
    /// # Errors
    /// None is expected: drawing goes to memory.
    pub fn standalone(&self, title: &str, legend: &[(RGBColor, String)]) -> Result<String> {
        let mut words = String::new();
        let mut say = |line: usize, colour, word: &str| {
            let y = TITLE * (line as u32 + 1) - 6;
            words += &format!(
                "<text x=\"12\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"{}\">{}</text>\n",
                hex(colour),
                minijinja::HtmlEscape(word)
            );
        };
        // Two lines where one would be too long.
        let is_long = title.chars().count() as u32 * 7 > self.width;
        let titles: Vec<&str> = match title.split_once(": ").filter(|_| is_long) {
            Some((name, rest)) => vec![name, rest],
            None => vec![title],
        };
        for (line, title) in titles.iter().enumerate() {
            say(line, INK, title);
        }
        for (line, (colour, name)) in legend.iter().enumerate() {
            say(titles.len() + line, *colour, &format!("— {name}"));
        }
        let top = TITLE * (titles.len() + legend.len()) as u32;
        let (width, height) = (self.width, self.height + top);
        let inner = format!(
            "<svg y=\"{top}\" width=\"{width}\" height=\"{}\" ",
            self.height
        );
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n{words}{}</svg>\n",
            2 * width,
            2 * height,
            self.svg()?.replacen("<svg ", &inner, 1)
        ))
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let longest = self.y.ticks.iter().map(|(_, word)| word.chars().count());
        let ticks = longest.max().unwrap_or(0) as f64 * DIGIT + 8.0;
        let frame = Frame {
            x: &self.x,
            y: &self.y,
            left: f64::from(self.left).max(ticks),
            right: width - 12.0,
            top: 16.0,
            bottom: height - if self.x_title.is_empty() { 22.0 } else { 36.0 },
        };
        self.draw_axes(area, &frame)?;
        for mark in &self.marks {
            draw_mark(area, &frame, mark)?;
        }
        area.present()?;
        Ok(())
    }

    fn draw_axes(&self, area: &Area<'_>, f: &Frame<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let (left, right, top, bottom) = (px(f.left), px(f.right), px(f.top), px(f.bottom));
        for (value, word) in &self.y.ticks {
            let y = f.y(*value);
            if self.rules_at_y {
                line(area, vec![(left, y), (right, y)], GRID, 1.0)?;
            }
            text(
                area,
                word,
                (px(f.left - 6.0), y),
                11.0,
                MUTED,
                HPos::Right,
                VPos::Center,
            )?;
        }
        for (value, word) in &self.x.ticks {
            let x = f.x(*value);
            match self.rules_at_y {
                true => line(area, vec![(x, bottom), (x, bottom + px(4.0))], MUTED, 1.0)?,
                false => line(area, vec![(x, top), (x, bottom)], GRID, 1.0)?,
            }
            text(
                area,
                word,
                (x, bottom + px(6.0)),
                11.0,
                MUTED,
                HPos::Center,
                VPos::Top,
            )?;
        }
        if self.rules_at_y {
            line(area, vec![(left, bottom), (right, bottom)], MUTED, 1.0)?;
        }
        let at = ((left + right) / 2, bottom + px(21.0));
        text(
            area,
            &self.x_title,
            at,
            11.0,
            MUTED,
            HPos::Center,
            VPos::Top,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::colours::colour;
    use crate::plot::mark::Dash;

    #[test]
    fn a_panel_is_an_element_of_the_page_and_names_are_escaped() {
        let panel = Panel {
            width: 300,
            height: 180,
            left: 40,
            x: Axis::round(0.0, 1.0, 4, true),
            y: Axis::round(0.0, 1.0, 4, true),
            x_title: "a < b & \"c\"".to_owned(),
            rules_at_y: true,
            marks: vec![
                Mark::Line(vec![(0.0, 0.1), (1.0, 0.9)], colour(0), Dash::Solid),
                Mark::Steps(0.0, 1.0, vec![0.2, 0.5], colour(1)),
                Mark::Rule(0.5, "τ".to_owned(), INK),
            ],
            description: "it's \"so\" & <so>".to_owned(),
        };
        let svg = panel.svg().unwrap();
        assert!(
            svg.starts_with(
                "<svg role=\"img\" aria-label=\"it&#x27;s &quot;so&quot; &amp; &lt;so&gt;\""
            ),
            "{svg}"
        );
        assert!(svg.contains("viewBox=\"0 0 1200 720\""));
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;"));
        assert!(svg.contains("#0072B2") && svg.contains("#D55E00"));
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
