//! The page of `identify --show`: each picture, what it is taken for, and the enrolled pictures nearest to it. One file, which
//! needs no other.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use logodex_dataset::Dataset;
use logodex_inference::picture::{Square, square};
use logodex_pixels::encode;
use logodex_schemas::gallery::{GalleryPicture, Identified, PictureSource, Verdict};
use logodex_schemas::onnx::{ModelMetadata, Preprocessing};
use minijinja::{Environment, context};
use serde::Serialize;

use crate::gallery::snapshot::Gallery;
use crate::threshold::Threshold;

/// Quality of the page's pictures.
const QUALITY: u8 = 85;
/// Enrolled pictures shown beside each.
const NEAR: usize = 5;

/// A picture on the page.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What the model was shown.
    pub square: &'a Square,
    /// Its embedding.
    pub embedding: &'a [f32],
    /// What it is taken for.
    pub identified: &'a Identified,
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a str,
    brand: Option<&'a str>,
    verdict: Verdict,
    picture: String,
    top: Vec<Bar<'a>>,
    near: Vec<Near<'a>>,
}

#[derive(Serialize)]
struct Bar<'a> {
    brand: &'a str,
    similarity: String,
    width: f64,
}

#[derive(Serialize)]
struct Near<'a> {
    brand: &'a str,
    similarity: String,
    picture: Option<String>,
}

/// The page.
///
/// # Errors
/// A mistake of ours in its template, or a picture that cannot be encoded.
pub fn sheet(
    gallery: &Gallery,
    model: &ModelMetadata,
    threshold: &Threshold,
    entries: &[Entry<'_>],
) -> Result<String> {
    let how = &model.preprocessing;
    let queries: Vec<&[f32]> = entries.iter().map(|entry| entry.embedding).collect();
    let near = gallery.search_pictures(&queries, NEAR);
    let mut shown = Vec::new();
    for (entry, near) in entries.iter().zip(near) {
        let near = near.into_iter().map(|neighbour| {
            let picture = &gallery.pictures()[neighbour.place as usize];
            Near {
                brand: &picture.brand,
                similarity: format!("{:.3}", neighbour.similarity),
                picture: enrolled(gallery, picture, how),
            }
        });
        let top = entry.identified.top.iter().map(|candidate| Bar {
            brand: &candidate.brand,
            similarity: format!("{:.3}", candidate.similarity),
            width: percent(f64::from(candidate.similarity)),
        });
        shown.push(Shown {
            file: &entry.identified.file,
            brand: entry.identified.brand.as_deref(),
            verdict: entry.identified.verdict,
            picture: STANDARD.encode(encode(&entry.square.pixels, how.side, QUALITY)?),
            top: top.collect(),
            near: near.collect(),
        });
    }
    let mut environment = Environment::new();
    environment.add_template("sheet.html", include_str!("sheet.html"))?;
    Ok(environment.get_template("sheet.html")?.render(context! {
        explanation => threshold.explained(gallery.brands().len()),
        threshold => percent(threshold.similarity),
        entries => shown,
    })?)
}

/// Similarities from 0 to 1 as parts of a bar.
fn percent(similarity: f64) -> f64 {
    (100.0 * similarity).clamp(0.0, 100.0)
}

/// What was shown of an enrolled picture, if its file is there still.
fn enrolled(gallery: &Gallery, picture: &GalleryPicture, how: &Preprocessing) -> Option<String> {
    let pixels = match &picture.source {
        PictureSource::File { path } => {
            let bytes = std::fs::read(gallery.store().picture(path)).ok()?;
            square(&bytes, picture.bbox, how).ok()?.pixels
        }
        PictureSource::Row { dataset, row, .. } => {
            let dataset = Dataset::open(dataset.as_ref()).ok()?;
            dataset.pixels(*row).ok()?.into_owned()
        }
    };
    Some(STANDARD.encode(encode(&pixels, how.side, QUALITY).ok()?))
}
