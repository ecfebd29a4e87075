//! The sample sheet (the paper's Figure 1): a column of brands per category.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Cursor;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops::{FilterType, resize};
use image::{ImageFormat, RgbImage};
use logodex_schemas::dataset::BrandRow;
use logodex_schemas::stats::SampleRow;

use crate::read::stats::svg::{INK, MUTED, escape, hex, shorten, style};

/// Columns of the sheet.
const COLUMNS: usize = 9;
/// Pictures per column.
const ROWS: usize = 4;
/// A picture is stored with at most this many pixels a side: the sheet is looked at, not measured.
const MAX_TILE_PX: u32 = 128;

/// Sheet geometry, in units of its view box.
const TILE: usize = 112;
const PITCH_X: usize = 124;
const PITCH_Y: usize = 140;
const HEADING: usize = 28;

/// Up to [`ROWS`] pictures per column, a column per category (more where there are few categories), each of another
/// brand: the brands at even distances in the category's list, the middle row of each.
pub fn choose(by_category: &BTreeMap<&str, Vec<&BrandRow>>) -> Vec<SampleRow> {
    let columns = (COLUMNS / by_category.len().max(1)).max(1);
    let mut samples = Vec::new();
    for (category, brands) in by_category {
        let brands: Vec<_> = brands.iter().filter(|brand| brand.n_rows > 0).collect();
        let wanted = brands.len().min(columns * ROWS);
        for i in 0..wanted {
            let brand = brands[(2 * i + 1) * brands.len() / (2 * wanted)];
            samples.push(SampleRow {
                row: brand.first_row + brand.n_rows / 2,
                category: (*category).to_owned(),
                brand: brand.brand.clone(),
            });
        }
    }
    samples
}

/// Draws the sheet; `image` gives a row's pixels `[side, side, 3]`.
///
/// # Errors
/// A picture cannot be had.
pub fn sheet<'a>(
    samples: &[SampleRow],
    side: u32,
    image: &dyn Fn(u64) -> Result<Cow<'a, [u8]>>,
) -> Result<String> {
    let mut groups: Vec<&[SampleRow]> = samples
        .chunk_by(|a, b| a.category == b.category)
        .flat_map(|category| category.chunks(ROWS))
        .collect();
    let bands: Vec<&[&[SampleRow]]> = groups.chunks_mut(COLUMNS).map(|band| &*band).collect();
    let columns = bands.iter().map(|band| band.len()).max().unwrap_or(0);
    let width = columns * PITCH_X;

    let mut body = String::new();
    let mut top = 0;
    for band in bands {
        let mut before = None;
        for (column, group) in band.iter().enumerate() {
            let x = column * PITCH_X + (PITCH_X - TILE) / 2;
            // A category's name stands once, over its first column.
            if before != Some(&group[0].category) {
                let room = band
                    .iter()
                    .filter(|g| g[0].category == group[0].category)
                    .count();
                text(
                    &mut body,
                    x,
                    top + 18,
                    14,
                    "600",
                    &hex(INK),
                    &group[0].category,
                    room * 15,
                );
            }
            before = Some(&group[0].category);
            for (line, sample) in group.iter().enumerate() {
                let y = top + HEADING + line * PITCH_Y;
                let png = png(&image(sample.row)?, side)
                    .with_context(|| format!("picture of row {}", sample.row))?;
                let _ = writeln!(
                    body,
                    "<image x=\"{x}\" y=\"{y}\" width=\"{TILE}\" height=\"{TILE}\" preserveAspectRatio=\"none\" \
                     href=\"data:image/png;base64,{}\"><title>{} (row {})</title></image>",
                    STANDARD.encode(&png),
                    escape(&sample.brand),
                    sample.row
                );
                text(
                    &mut body,
                    x,
                    y + TILE + 14,
                    11,
                    "400",
                    &hex(MUTED),
                    &sample.brand,
                    19,
                );
            }
        }
        let lines = band.iter().map(|group| group.len()).max().unwrap_or(0);
        top += HEADING + lines * PITCH_Y;
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {top}\" width=\"{width}\" height=\"{top}\">\n{}{body}</svg>\n",
        style()
    ))
}

/// A line of text that takes at most `length` characters.
#[allow(clippy::too_many_arguments)]
fn text(
    out: &mut String,
    x: usize,
    y: usize,
    size: usize,
    weight: &str,
    colour: &str,
    words: &str,
    length: usize,
) {
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{colour}\">{}</text>",
        escape(&shorten(words, length))
    );
}

fn png(pixels: &[u8], side: u32) -> Result<Vec<u8>> {
    let mut picture = RgbImage::from_raw(side, side, pixels.to_vec())
        .with_context(|| format!("{} bytes are no {side} × {side} RGB picture", pixels.len()))?;
    if side > MAX_TILE_PX {
        picture = resize(&picture, MAX_TILE_PX, MAX_TILE_PX, FilterType::Triangle);
    }
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::stats::made::brands;

    fn chosen() -> Vec<SampleRow> {
        let brands = brands();
        let mut by_category: BTreeMap<&str, Vec<&BrandRow>> = BTreeMap::new();
        for brand in &brands {
            by_category.entry(&brand.category).or_default().push(brand);
        }
        choose(&by_category)
    }

    #[test]
    fn every_category_shows_different_brands() {
        let samples = chosen();
        let shown: Vec<&str> = samples.iter().map(|s| s.brand.as_str()).collect();
        assert_eq!(
            shown.len(),
            6,
            "three columns per category, but only so many brands"
        );
        let mut distinct = shown.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 6);
        assert_eq!(samples[0].row, 5, "the middle row of the first brand");
    }

    #[test]
    fn many_brands_are_sampled_evenly() {
        let rows: Vec<BrandRow> = (0..100)
            .map(|i| BrandRow {
                index: i,
                category: format!("c{}", i % 9),
                brand: format!("b{i}"),
                key: format!("c{}/b{i}", i % 9),
                first_row: u64::from(i),
                n_rows: 1,
                n_images: 1,
                n_objects: 1,
            })
            .collect();
        let mut by_category: BTreeMap<&str, Vec<&BrandRow>> = BTreeMap::new();
        for row in &rows {
            by_category.entry(&row.category).or_default().push(row);
        }
        assert_eq!(choose(&by_category).len(), COLUMNS * ROWS);
    }

    #[test]
    fn the_sheet_holds_every_picture_and_escapes_every_name() {
        let samples = chosen();
        let pixels = [90u8; 8 * 8 * 3];
        let svg = sheet(&samples, 8, &|_| Ok(Cow::from(&pixels[..]))).unwrap();
        assert_eq!(svg.matches("data:image/png;base64,").count(), 6);
        assert!(svg.contains("Abercrombie &amp; Fitch"));
        assert!(svg.contains("L&apos;OCCITANE &lt;&quot;x&quot;&gt;"));
        assert!(!svg.contains("Abercrombie & "));
        assert!(
            svg.contains(">Honey Nut Cheerios…</text>"),
            "shortened on the sheet"
        );
        assert_eq!(
            svg.matches("http").count(),
            1,
            "the name of the namespace alone"
        );
        assert!(sheet(&samples, 9, &|_| Ok(Cow::from(&pixels[..]))).is_err());
    }
}
