//! The parts of a picture that may hold a logo, each embedded as a crop of its own, and what they show.

use anyhow::Result;
use logodex_inference::Model;
use logodex_inference::picture::{PictureError, squares};
use logodex_pixels::with_picture;
use logodex_schemas::gallery::{Candidate, Identified, IdentifiedBox, Scene, Tiling, Verdict};

use super::detector::{Detector, Found};
use super::threshold::SceneThresholds;
use super::tiles::{Area, suppress, windows};
use crate::gallery::snapshot::{Gallery, judge};

/// Boxes of which more than this part of both together is common are one logo.
const OVERLAP: f64 = 0.3;

/// How parts are chosen.
pub enum Look<'a> {
    /// Overlapping windows.
    Tiles(Tiling),
    /// What a detector finds with at least this score, at most so many.
    Detector {
        /// The detector.
        detector: &'a Detector,
        /// The least score.
        least: f32,
        /// The most boxes of a picture.
        most: usize,
    },
}

/// A part of a picture, embedded.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    area: Area,
    /// A detector's.
    score: Option<f32>,
    embedding: Vec<f32>,
}

/// The highest similarity of any brand to any window of a picture, and how many windows it has; none where no brand is enrolled.
///
/// # Errors
/// As [`look`].
pub fn best_of_windows(
    bytes: &[u8],
    tiling: &Tiling,
    model: &Model,
    gallery: &Gallery,
) -> Result<(Option<f32>, usize)> {
    let how = Look::Tiles(tiling.clone());
    let parts = embedded(bytes, chosen(bytes, &how)?, model)?;
    let queries: Vec<&[f32]> = parts.iter().map(|part| part.embedding.as_slice()).collect();
    let found = gallery.search(&queries, 1);
    let best = found.iter().filter_map(|top| Some(top.first()?.similarity));
    Ok((best.reduce(f32::max), parts.len()))
}

/// What the parts of a picture show; `name` is what its file is called, `k` how many brands are told of each.
///
/// By windows, a box is what reaches the threshold of a scene of so many, and of those that overlap the most similar. By a detector, every box is told,
/// the unknown ones, too. What is told of the picture as a whole is that of its most similar part.
///
/// # Errors
/// A picture that is none, what ONNX Runtime reports.
pub fn look(
    (name, bytes): (&str, &[u8]),
    how: &Look<'_>,
    model: &Model,
    gallery: &Gallery,
    thresholds: &SceneThresholds<'_>,
    k: usize,
) -> Result<Scene> {
    let parts = embedded(bytes, chosen(bytes, how)?, model)?;
    let looked_at = parts.len() as u64;
    let threshold = &thresholds.over(match how {
        Look::Tiles(_) => parts.len(),
        Look::Detector { .. } => 1,
    });
    let queries: Vec<&[f32]> = parts.iter().map(|part| part.embedding.as_slice()).collect();
    let found = gallery.search(&queries, k);
    let best = found
        .iter()
        .max_by(|a, b| first(a).total_cmp(&first(b)))
        .cloned();
    let mut boxes: Vec<IdentifiedBox> = parts
        .iter()
        .zip(found)
        .map(|(part, top)| {
            let Identified {
                verdict,
                brand,
                similarity,
                top,
                ..
            } = judge(name, top, threshold);
            IdentifiedBox {
                bbox: part.area,
                score: part.score,
                verdict,
                brand,
                similarity,
                top,
            }
        })
        .collect();
    if matches!(how, Look::Tiles(_)) {
        boxes.retain(|found| found.verdict == Verdict::Known);
        let ranked: Vec<(Area, f32)> = boxes
            .iter()
            .map(|found| (found.bbox, found.similarity.unwrap_or(f32::NEG_INFINITY)))
            .collect();
        // A brand within its own box is the same logo, seen nearer or farther.
        let kept = suppress(&ranked, OVERLAP, |a, b| boxes[a].brand == boxes[b].brand);
        boxes = kept.into_iter().map(|at| boxes[at].clone()).collect();
    } else {
        boxes.sort_by(|a, b| first(&b.top).total_cmp(&first(&a.top)));
    }
    Ok(Scene {
        best: judge(name, best.unwrap_or_default(), threshold),
        looked_at,
        boxes,
    })
}

fn first(top: &[Candidate]) -> f32 {
    top.first()
        .map_or(f32::NEG_INFINITY, |best| best.similarity)
}

/// The parts to be looked at.
fn chosen(bytes: &[u8], how: &Look<'_>) -> Result<Vec<Found>> {
    let found = |area| Found { area, score: 0.0 };
    let choose = |picture: &logodex_pixels::Picture| match how {
        Look::Tiles(tiling) => {
            let all = windows(picture.width, picture.height, tiling);
            Ok(all.into_iter().map(found).collect())
        }
        Look::Detector {
            detector,
            least,
            most,
        } => detector.find(picture, *least, *most),
    };
    with_picture(bytes, choose).map_err(PictureError::from)?
}

/// All of them in one batch.
fn embedded(bytes: &[u8], parts: Vec<Found>, model: &Model) -> Result<Vec<Part>> {
    let boxes: Vec<Option<Area>> = parts.iter().map(|part| Some(part.area)).collect();
    if boxes.is_empty() {
        return Ok(Vec::new());
    }
    let squares = squares(bytes, &boxes, &model.metadata().preprocessing)?;
    let pixels: Vec<&[u8]> = squares.iter().map(|square| &*square.pixels).collect();
    let embeddings = model.embed(&pixels.concat())?;
    let embeddings = embeddings.chunks_exact(model.dim());
    Ok(parts
        .iter()
        .zip(embeddings)
        .map(|(part, embedding)| Part {
            area: part.area,
            score: (part.score > 0.0).then_some(part.score),
            embedding: embedding.to_vec(),
        })
        .collect())
}
