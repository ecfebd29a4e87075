//! A panel: lines, bars, dots and intervals over two axes, as an SVG that takes its colours from the page.
//!
//! Drawn with plotters' SVG backend. Each colour of the palette is one fixed `#RRGGBB`; the page's style sheet maps
//! these to its light and dark values, so the drawing needs to know of neither.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use crate::report::axis::Axis;

/// plotters draws on whole pixels: a panel is drawn this much larger than it is shown.
const FINE: f64 = 4.0;

/// Height of a line above a panel that stands alone.
const TITLE: u32 = 20;

/// Width of a digit of a tick, pixels as shown.
const DIGIT: f64 = 7.0;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// What is said more quietly.
pub const MUTED: RGBColor = RGBColor(0x6E, 0x77, 0x81);
/// Rules of the grid.
pub const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEB);

/// A colour per model, told apart by readers with any colour vision (Okabe & Ito 2008, its yellow darkened, and two
/// of Tol's), with its lighter form for a dark page.
pub const PALETTE: [(RGBColor, &str); 8] = [
    (RGBColor(0x00, 0x72, 0xB2), "#56a8dc"),
    (RGBColor(0xD5, 0x5E, 0x00), "#f08a3c"),
    (RGBColor(0x00, 0x9E, 0x73), "#3cc79c"),
    (RGBColor(0xB0, 0x5A, 0x90), "#dd97c3"),
    (RGBColor(0x4A, 0xA3, 0xD9), "#8ccbf0"),
    (RGBColor(0xB8, 0x86, 0x0B), "#e3b947"),
    (RGBColor(0x88, 0x22, 0x55), "#d06a9b"),
    (RGBColor(0x44, 0x77, 0x44), "#84b884"),
];

/// The ordinary colours on a dark page.
pub const DARK: [(RGBColor, &str); 3] = [(INK, "#e6e8eb"), (MUTED, "#9aa4af"), (GRID, "#31363d")];

/// The colour of the model at a place of the report's order.
pub fn colour(model: usize) -> RGBColor {
    PALETTE[model % PALETTE.len()].0
}

/// `#RRGGBB`, as plotters writes it.
pub fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// Through.
    Solid,
    /// Broken.
    Dashed,
}

/// Something in a panel, in the units of its axes.
#[derive(Debug, Clone)]
pub enum Mark {
    /// A line through points.
    Line(Vec<(f64, f64)>, RGBColor, Dash),
    /// An area between the axis and steps of equal width from x 0 to x 1: a histogram `(x0, x1, heights)`.
    Steps(f64, f64, Vec<f64>, RGBColor),
    /// A unit square whose lower left corner is at a point, the deeper in colour the larger the share, with a word in
    /// it: `(x, y, share, word, colour)`.
    Cell(f64, f64, f64, String, RGBColor),
    /// A dot.
    Dot(f64, f64, RGBColor),
    /// A dot with a horizontal interval `(y, low, mean, high)`.
    Interval(f64, f64, f64, f64, RGBColor),
    /// Words at the left edge, at a height: a heading within a list.
    Heading(f64, String),
    /// A dashed vertical line with a word at its top.
    Rule(f64, String, RGBColor),
}

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

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where values lie on the drawing.
struct Frame<'p> {
    panel: &'p Panel,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> i32 {
        let Axis { low, high, .. } = self.panel.x;
        px(self.left + (value - low) / (high - low) * (self.right - self.left))
    }

    fn y(&self, value: f64) -> i32 {
        let Axis { low, high, .. } = self.panel.y;
        px(self.bottom - (value - low) / (high - low) * (self.bottom - self.top))
    }
}

fn px(shown: f64) -> i32 {
    (shown * FINE).round() as i32
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
            panel: self,
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

fn draw_mark(
    area: &Area<'_>,
    f: &Frame<'_>,
    mark: &Mark,
) -> Result<(), Box<dyn std::error::Error>> {
    match mark {
        Mark::Line(points, colour, dash) => {
            let points: Vec<(i32, i32)> = points.iter().map(|&(x, y)| (f.x(x), f.y(y))).collect();
            match (dash, points.as_slice()) {
                (_, [one]) => dot(area, *one, 3.0, *colour)?,
                (Dash::Solid, _) => line(area, points, *colour, 2.0)?,
                (Dash::Dashed, _) => {
                    let style = colour.stroke_width(px(1.6).cast_unsigned());
                    area.draw(&DashedPathElement::new(points, px(5.0), px(3.5), style))?;
                }
            }
        }
        Mark::Steps(x0, x1, heights, colour) => {
            let width = (x1 - x0) / heights.len().max(1) as f64;
            let mut outline = vec![(f.x(*x0), f.y(0.0))];
            for (i, height) in heights.iter().enumerate() {
                let from = x0 + i as f64 * width;
                outline.push((f.x(from), f.y(*height)));
                outline.push((f.x(from + width), f.y(*height)));
            }
            outline.push((f.x(*x1), f.y(0.0)));
            area.draw(&Polygon::new(outline.clone(), colour.mix(0.28).filled()))?;
            line(area, outline, *colour, 1.4)?;
        }
        Mark::Cell(x, y, share, word, colour) => {
            let corners = [(f.x(*x), f.y(*y)), (f.x(x + 1.0), f.y(y + 1.0))];
            let fill = colour.mix(0.08 + 0.72 * share).filled();
            area.draw(&Rectangle::new(corners, fill))?;
            let at = (f.x(x + 0.5), f.y(y + 0.5));
            text(area, word, at, 10.5, INK, HPos::Center, VPos::Center)?;
        }
        Mark::Dot(x, y, colour) => dot(area, (f.x(*x), f.y(*y)), 4.0, *colour)?,
        Mark::Interval(y, low, mean, high, colour) => {
            let y = f.y(*y);
            line(area, vec![(f.x(*low), y), (f.x(*high), y)], *colour, 2.0)?;
            dot(area, (f.x(*mean), y), 4.0, *colour)?;
        }
        Mark::Heading(y, word) => {
            text(
                area,
                word,
                (0, f.y(*y)),
                11.0,
                INK,
                HPos::Left,
                VPos::Center,
            )?;
        }
        Mark::Rule(x, word, colour) => {
            let x = f.x(*x);
            let ends = vec![(x, px(f.top)), (x, px(f.bottom))];
            let style = colour.stroke_width(px(1.2).cast_unsigned());
            area.draw(&DashedPathElement::new(ends, px(3.0), px(3.0), style))?;
            // Near an edge the word would be cut off: it leans inwards.
            let part = f64::from(x - px(f.left)) / f64::from(px(f.right) - px(f.left));
            let anchor = match part {
                part if part < 0.15 => HPos::Left,
                part if part > 0.85 => HPos::Right,
                _ => HPos::Center,
            };
            text(area, word, (x, px(2.0)), 10.5, *colour, anchor, VPos::Top)?;
        }
    }
    Ok(())
}

fn line(
    area: &Area<'_>,
    points: Vec<(i32, i32)>,
    colour: RGBColor,
    width: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = colour.stroke_width(px(width).cast_unsigned());
    area.draw(&PathElement::new(points, style))?;
    Ok(())
}

fn dot(
    area: &Area<'_>,
    at: (i32, i32),
    radius: f64,
    colour: RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    area.draw(&Circle::new(at, px(radius), colour.filled()))?;
    Ok(())
}

fn text(
    area: &Area<'_>,
    words: &str,
    at: (i32, i32),
    size: f64,
    colour: RGBColor,
    h: HPos,
    v: VPos,
) -> Result<(), Box<dyn std::error::Error>> {
    if words.is_empty() {
        return Ok(());
    }
    // plotters writes font sizes divided by 1.24.
    let font = ("sans-serif", size * FINE * 1.24).into_font();
    let style = TextStyle::from(font).color(&colour).pos(Pos::new(h, v));
    area.draw(&Text::new(words.to_owned(), at, style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
