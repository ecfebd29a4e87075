//! The long tail (the paper's Figure 2): images per brand, by category, each category's largest brand marked.

use anyhow::{Result, anyhow};
use logodex_schemas::dataset::BrandRow;
use logodex_schemas::stats::CategoryStats;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::read::stats::svg::{GRID, INK, MARK, MUTED, POINT, shorten, style};

/// plotters draws on whole pixels: the figure is drawn this much larger than it is shown.
const FINE: i32 = 4;
/// Size as shown, pixels.
const WIDTH: i32 = 1120;
const HEIGHT: i32 = 380;
/// Margins around the plot, as shown.
const LEFT: i32 = 44;
const RIGHT: i32 = 8;
const TOP: i32 = 34;
const BOTTOM: i32 = 44;

/// Draws the figure. Within a category brands run from the largest to the smallest, so that each column is a tail.
///
/// # Errors
/// None is expected: drawing goes to memory.
pub fn figure(brands: &[BrandRow], categories: &[CategoryStats]) -> Result<String> {
    let mut svg = String::new();
    let size = ((WIDTH * FINE) as u32, (HEIGHT * FINE) as u32);
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area, brands, categories).map_err(|e| anyhow!("cannot draw the long tail: {e}"))?;
    }
    let tag = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{WIDTH}\" height=\"{HEIGHT}\"");
    let svg = svg.replacen(&tag, &shown, 1);
    Ok(svg.replacen(">\n", &format!(">\n{}", style()), 1))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(
    area: &Area<'_>,
    brands: &[BrandRow],
    categories: &[CategoryStats],
) -> Result<(), Box<dyn std::error::Error>> {
    let most = categories.iter().map(|c| c.max_images).max().unwrap_or(1);
    let step = tick(most);
    let top = most.div_ceil(step) * step;
    let y = |images: u64| {
        let part = images as f64 / top as f64;
        ((f64::from(HEIGHT - BOTTOM) - part * f64::from(HEIGHT - BOTTOM - TOP)) * f64::from(FINE))
            as i32
    };
    let column = f64::from(WIDTH - LEFT - RIGHT) / categories.len().max(1) as f64;
    let x = |place: f64| ((f64::from(LEFT) + place * column) * f64::from(FINE)) as i32;

    for images in (0..=top).step_by(step as usize) {
        let line = vec![(x(0.0), y(images)), (x(categories.len() as f64), y(images))];
        area.draw(&PathElement::new(line, GRID.stroke_width(FINE as u32)))?;
        let at = (x(0.0) - 6 * FINE, y(images));
        area.draw(&words(
            images.to_string(),
            at,
            11,
            &MUTED,
            HPos::Right,
            VPos::Center,
        ))?;
    }
    let title = (4 * FINE, 4 * FINE);
    area.draw(&words(
        "images per brand".to_owned(),
        title,
        11,
        &MUTED,
        HPos::Left,
        VPos::Top,
    ))?;

    // A name may be as wide as its column: about 6 px a character.
    let room = (column / 6.2) as usize;
    for (i, category) in categories.iter().enumerate() {
        let mut images: Vec<u64> = brands
            .iter()
            .filter(|brand| brand.category == category.category)
            .map(|brand| brand.n_images)
            .collect();
        images.sort_unstable_by(|a, b| b.cmp(a));
        let place =
            |rank: usize| i as f64 + 0.06 + 0.88 * rank as f64 / (images.len() - 1).max(1) as f64;
        for (rank, &n) in images.iter().enumerate().skip(1) {
            let dot = POINT.mix(0.55).filled();
            area.draw(&Circle::new((x(place(rank)), y(n)), 2 * FINE, dot))?;
        }
        let largest = (x(place(0)), y(category.max_images));
        area.draw(&Circle::new(largest, 4 * FINE, MARK.filled()))?;
        let name = shorten(&category.largest_brand, room);
        let above = (largest.0 - 4 * FINE, largest.1 - 7 * FINE);
        area.draw(&words(name, above, 11, &MARK, HPos::Left, VPos::Bottom))?;
        let middle = x(i as f64 + 0.5);
        let below = |line: i32| (middle, (HEIGHT - BOTTOM + 8 + line * 16) * FINE);
        let name = shorten(&category.category, room);
        area.draw(&words(name, below(0), 12, &INK, HPos::Center, VPos::Top))?;
        let brands = format!("{} brands", category.brands);
        area.draw(&words(
            brands,
            below(1),
            11,
            &MUTED,
            HPos::Center,
            VPos::Top,
        ))?;
    }
    area.present()?;
    Ok(())
}

fn words(
    text: String,
    at: (i32, i32),
    size: i32,
    colour: &'static RGBColor,
    h: HPos,
    v: VPos,
) -> Text<'static, (i32, i32), String> {
    // plotters writes font sizes divided by 1.24.
    let font = ("sans-serif", f64::from(size * FINE) * 1.24).into_font();
    let style = TextStyle::from(font).color(colour).pos(Pos::new(h, v));
    Text::new(text, at, style)
}

/// A round step that gives about five rules up to `most`.
fn tick(most: u64) -> u64 {
    let mut scale = 1;
    loop {
        for step in [1, 2, 5] {
            if most.div_ceil(step * scale) <= 7 {
                return step * scale;
            }
        }
        scale *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::stats::made::{brands, manifest};

    #[test]
    fn every_brand_is_a_point_and_each_largest_one_is_marked() {
        let stats =
            crate::read::stats::numbers::describe(&brands(), &manifest(), String::new()).unwrap();
        let svg = figure(&brands(), &stats.categories).unwrap();
        assert_eq!(svg.matches("<circle").count(), 6);
        let marked = svg
            .lines()
            .filter(|line| line.starts_with("<circle") && line.contains("#C62828"));
        assert_eq!(marked.count(), 3);
        assert!(svg.contains("L&apos;OCCITANE &lt;&quot;x&quot;&gt;"));
        assert!(svg.contains("Honey Nut Cheerios"));
        assert!(svg.contains("prefers-color-scheme:dark"));
        assert_eq!(
            svg.matches("http").count(),
            1,
            "the name of the namespace alone"
        );
    }

    #[test]
    fn rules_are_round() {
        assert_eq!(
            [1, 6, 7, 12, 58, 302, 4000].map(tick),
            [1, 1, 1, 2, 10, 50, 1000]
        );
    }
}
