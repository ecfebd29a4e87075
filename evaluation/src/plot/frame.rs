//! Where values lie on the drawing, and the strokes and words that are set there.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::plot::axis::Axis;

/// plotters draws on whole pixels: a panel is drawn this much larger than it is shown.
const FINE: f64 = 4.0;

/// What is drawn on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The ranges of two axes, and the edges between which they lie, pixels as shown.
pub struct Frame<'a> {
    pub x: &'a Axis,
    pub y: &'a Axis,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Frame<'_> {
    /// Where a value of the horizontal axis lies.
    pub fn x(&self, value: f64) -> i32 {
        let Axis { low, high, .. } = *self.x;
        px(self.left + (value - low) / (high - low) * (self.right - self.left))
    }

    /// Where a value of the vertical axis lies.
    pub fn y(&self, value: f64) -> i32 {
        let Axis { low, high, .. } = *self.y;
        px(self.bottom - (value - low) / (high - low) * (self.bottom - self.top))
    }
}

/// Pixels as shown in those of the drawing.
pub fn px(shown: f64) -> i32 {
    (shown * FINE).round() as i32
}

/// A line through points of the drawing.
pub fn line(
    area: &Area<'_>,
    points: Vec<(i32, i32)>,
    colour: RGBColor,
    width: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = colour.stroke_width(px(width).cast_unsigned());
    area.draw(&PathElement::new(points, style))?;
    Ok(())
}

/// A filled circle.
pub fn dot(
    area: &Area<'_>,
    at: (i32, i32),
    radius: f64,
    colour: RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    area.draw(&Circle::new(at, px(radius), colour.filled()))?;
    Ok(())
}

/// Words of a size, held at a point by one of their corners or edges.
pub fn text(
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
