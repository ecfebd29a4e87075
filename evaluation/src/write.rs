//! What an evaluation leaves on disk. `evaluation.json` comes last: where it is, the rest is complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops};
use logodex_schemas::dataset::Region;
use serde::Serialize;

use crate::evaluate::Outcome;
use crate::intervals::difference;
use crate::settings::region_name;
use logodex_program::durable::{entries, sync_all, write_one_of_many, write_whole};

/// A square picture of a dataset row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Side, pixels.
    pub side_px: u32,
    /// `[side, side, 3]`, RGB.
    pub rgb: Vec<u8>,
}

/// Pictures are shown no larger than this; pixels.
const SHOWN: u32 = 128;
/// Of 100.
const QUALITY: u8 = 90;

/// Writes `pictures/` of the rows that are shown, `episodes/`, `episodes.csv`, `retrieval.csv`, `confusion.csv`,
/// `curves.csv`, `bootstrap.safetensors`, `evaluation.csv` and `evaluation.json` into `out`, each to a temporary name and then by
/// rename. `picture` gives the picture of a dataset row. What an evaluation of before left in `out` goes first, its
/// `evaluation.json` before the rest.
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
    let shown: BTreeMap<u64, &str> = outcome
        .evaluation
        .pictures()
        .map(|shown| (shown.row, shown.picture.as_str()))
        .collect();
    let pictures: Vec<(&str, Vec<u8>)> = shown
        .into_iter()
        .map(|(row, path)| {
            let jpeg = jpeg(picture(row)?).with_context(|| format!("picture of row {row}"))?;
            Ok((path, jpeg))
        })
        .collect::<Result<_>>()?;
    clear(out)?;
    folder(&out.join("pictures"))?;
    for (path, jpeg) in &pictures {
        write_one_of_many(&out.join(path), jpeg)?;
    }
    sync_all(&out.join("pictures"))?;
    for (name, bytes) in &outcome.lists {
        let path = out.join(name);
        folder(path.parent().unwrap_or(out))?;
        write_whole(&path, bytes)?;
    }
    write_whole(&out.join("episodes.csv"), &csv(&outcome.episodes)?)?;
    write_whole(&out.join("retrieval.csv"), &csv(&outcome.retrieval)?)?;
    write_whole(&out.join("confusion.csv"), &csv(&outcome.confusion)?)?;
    write_whole(&out.join("curves.csv"), &csv(&outcome.curves)?)?;
    difference::write(&out.join(difference::FILE), &outcome.replicates)?;
    write_whole(&out.join("evaluation.csv"), &csv(&outcome.evaluation.rows)?)?;
    let mut json = serde_json::to_vec_pretty(&outcome.evaluation)?;
    json.push(b'\n');
    write_whole(&out.join("evaluation.json"), &json)
}

/// Takes away `evaluation.json`, then the pictures and the lists, whose names differ from one evaluation to the next.
/// What is not named as ours is left alone.
fn clear(out: &Path) -> Result<()> {
    let is_picture = |name: &str| {
        let row = name
            .strip_prefix("row-")
            .and_then(|rest| rest.strip_suffix(".jpg"));
        row.is_some_and(|row| row.parse::<u64>().is_ok())
    };
    let mut ours = vec![out.join("evaluation.json")];
    let mut add = |folder: PathBuf, is_ours: &dyn Fn(&str) -> bool| -> Result<()> {
        let names = entries(&folder)?.into_iter().filter(|name| is_ours(name));
        ours.extend(names.map(|name| folder.join(name)));
        Ok(())
    };
    add(out.join("pictures"), &is_picture)?;
    for region in [Region::Image, Region::Object] {
        let lists = out.join("episodes").join(region_name(region));
        add(lists, &|name| name.ends_with(".csv"))?;
    }
    for path in ours {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("{}: cannot be removed", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn csv<T: Serialize>(rows: &[T]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

fn jpeg(picture: Picture) -> Result<Vec<u8>> {
    let side = picture.side_px;
    let length = picture.rgb.len();
    let image = RgbImage::from_raw(side, side, picture.rgb)
        .filter(|image| image.as_raw().len() == length)
        .with_context(|| format!("{length} bytes are no {side} × {side} RGB picture"))?;
    let image = match side > SHOWN {
        true => imageops::thumbnail(&image, SHOWN, SHOWN),
        false => image,
    };
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_evaluation_of_before_left_goes_and_nobody_elses_file() {
        let dir = tempfile::tempdir().unwrap();
        let ours = [
            "evaluation.json",
            "pictures/row-0.jpg",
            "pictures/row-99999.jpg",
            "episodes/object/paper_1.csv",
            "episodes/image/n_way_k_shot_all_10.csv",
        ];
        let others = [
            "pictures/row-1b.jpg",
            "pictures/row-.jpg",
            "pictures/mine.png",
            "episodes/image/notes.txt",
            "episodes/notes.csv",
            "notes.csv",
        ];
        clear(dir.path()).unwrap();
        for name in ours.iter().chain(&others) {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "before").unwrap();
        }
        clear(dir.path()).unwrap();
        for name in ours {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
        for name in others {
            assert!(dir.path().join(name).is_file(), "{name}");
        }
    }
}
