//! What is drawn in a panel: lines, histograms, cells, dots, intervals, headings and rules.

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::plot::colours::INK;
use crate::plot::frame::{Area, Frame, dot, line, px, text};

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

/// Draws a mark where its values lie.
pub(super) fn draw_mark(
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
