//! What an evaluation leaves on disk. `evaluation.json` comes last: where it is, the rest is complete.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::{ImageFormat, RgbImage};
use serde::Serialize;

use crate::durable::write_whole;
use crate::eval::{Outcome, difference};

/// A square picture of a dataset row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Side, pixels.
    pub side_px: u32,
    /// `[side, side, 3]`, RGB.
    pub rgb: Vec<u8>,
}

/// Writes `figures/*.png` of the examples, `episodes/`, `episodes.csv`, `retrieval.csv`, `curves.csv`,
/// `bootstrap.safetensors`, `evaluation.csv` and `evaluation.json` into `out`, each to a temporary name and then by
/// rename. `picture` gives the picture of a dataset row.
///
/// # Errors
/// A picture cannot be had, or a file cannot be written.
pub fn write_outcome(
    out: &Path,
    outcome: &Outcome,
    picture: &dyn Fn(u64) -> Result<Picture>,
) -> Result<()> {
    let folder = |path: &Path| {
        std::fs::create_dir_all(path)
            .with_context(|| format!("{}: cannot make the directory", path.display()))
    };
    folder(&out.join("figures"))?;
    for example in &outcome.evaluation.examples {
        for shown in [&example.query, &example.positive, &example.negative] {
            let png = png(picture(shown.row)?)
                .with_context(|| format!("picture of row {}", shown.row))?;
            write_whole(&out.join(&shown.picture), &png)?;
        }
    }
    for (name, bytes) in &outcome.lists {
        let path = out.join(name);
        folder(path.parent().unwrap_or(out))?;
        write_whole(&path, bytes)?;
    }
    write_whole(&out.join("episodes.csv"), &csv(&outcome.episodes)?)?;
    write_whole(&out.join("retrieval.csv"), &csv(&outcome.retrieval)?)?;
    write_whole(&out.join("curves.csv"), &csv(&outcome.curves)?)?;
    difference::write(&out.join(difference::FILE), &outcome.replicates)?;
    write_whole(&out.join("evaluation.csv"), &csv(&outcome.evaluation.rows)?)?;
    let mut json = serde_json::to_vec_pretty(&outcome.evaluation)?;
    json.push(b'\n');
    write_whole(&out.join("evaluation.json"), &json)
}

fn csv<T: Serialize>(rows: &[T]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

fn png(picture: Picture) -> Result<Vec<u8>> {
    let side = picture.side_px;
    let length = picture.rgb.len();
    let image = RgbImage::from_raw(side, side, picture.rgb);
    ensure!(
        image.as_ref().is_some_and(|i| i.as_raw().len() == length),
        "{length} bytes are no {side} × {side} RGB picture"
    );
    let mut bytes = Cursor::new(Vec::new());
    if let Some(image) = image {
        image.write_to(&mut bytes, ImageFormat::Png)?;
    }
    Ok(bytes.into_inner())
}
