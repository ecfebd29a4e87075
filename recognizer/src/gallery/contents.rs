//! What a gallery holds at one moment, and what can be changed about it.

use std::collections::HashMap;

use half::f16;
use logodex_embeddings::unit_vectors::{mean, norm};
use logodex_schemas::gallery::{
    GalleryCalibration, GalleryModel, GalleryPicture, Numbers, SceneCalibration,
};

use super::matrix::Matrix;

/// What a gallery holds.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Counts the changes.
    pub generation: u64,
    /// The model whose embeddings these are.
    pub model: GalleryModel,
    /// How embeddings are stored.
    pub numbers: Numbers,
    /// The pictures, by brand in the byte order of the names, then as they were enrolled, `[N]`.
    pub pictures: Vec<GalleryPicture>,
    /// Their embeddings, of length one, `[N, D]`.
    pub embeddings: Matrix,
    /// A vector per brand in the order of their names, `[B, D]`: the mean of its embeddings, brought to length one. Zeros where
    /// they cancel out.
    pub prototypes: Matrix,
    /// From which similarity on a brand is named, if that was found out here.
    pub calibration: Option<GalleryCalibration>,
    /// The same of scenes.
    pub scene_calibration: Option<SceneCalibration>,
}

/// A change. Several are made as one: all or none.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// One more picture.
    Add {
        /// The picture.
        picture: GalleryPicture,
        /// Its embedding, of length one, `[D]`.
        embedding: Vec<f32>,
    },
    /// Every picture of a brand is another's, which may have some already.
    Rename {
        /// The brand.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A brand goes, or of its pictures those of one file.
    Remove {
        /// The brand.
        brand: String,
        /// BLAKE3 of the file, hexadecimal; none for all.
        blake3: Option<String>,
    },
    /// Another calibration, or none.
    Calibrate(Option<GalleryCalibration>),
    /// Another calibration of scenes, or none.
    CalibrateScenes(Option<SceneCalibration>),
    /// All pictures go, and the model is another: what is added next are its embeddings. The calibrations go, too.
    Begin {
        /// The model.
        model: GalleryModel,
        /// How embeddings are stored.
        numbers: Numbers,
    },
}

/// A brand's pictures in [`Contents::pictures`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Its name.
    pub name: String,
    /// Places of its pictures.
    pub pictures: std::ops::Range<usize>,
}

/// The brands of pictures that are sorted by brand.
pub fn brands(pictures: &[GalleryPicture]) -> Vec<Brand> {
    let mut first = 0;
    pictures
        .chunk_by(|a, b| a.brand == b.brand)
        .map(|own| {
            let begin = first;
            first += own.len();
            Brand {
                name: own[0].brand.clone(),
                pictures: begin..first,
            }
        })
        .collect()
}

impl Contents {
    /// An empty gallery of a model.
    pub fn empty(model: GalleryModel, numbers: Numbers) -> Self {
        let dim = model.embedding_dim as usize;
        Self {
            generation: 0,
            model,
            numbers,
            pictures: Vec::new(),
            embeddings: Matrix::owned(dim, Vec::new()),
            prototypes: Matrix::owned(dim, Vec::new()),
            calibration: None,
            scene_calibration: None,
        }
    }

    /// What it holds after these changes, in memory; the generation is the next.
    pub fn after(&self, edits: Vec<Edit>) -> Self {
        let mut next = Self {
            generation: self.generation + 1,
            model: self.model.clone(),
            numbers: self.numbers,
            pictures: Vec::new(),
            embeddings: self.embeddings.clone(),
            prototypes: self.prototypes.clone(),
            calibration: self.calibration.clone(),
            scene_calibration: self.scene_calibration.clone(),
        };
        let mut entries: Vec<(GalleryPicture, Vec<f32>)> = self
            .pictures
            .iter()
            .enumerate()
            .map(|(place, picture)| (picture.clone(), self.embeddings.row(place)))
            .collect();
        for edit in edits {
            match edit {
                Edit::Add { picture, embedding } => {
                    entries.push((picture, as_stored(embedding, next.numbers)));
                }
                Edit::Rename { from, to } => {
                    for (picture, _) in entries.iter_mut().filter(|(p, _)| p.brand == from) {
                        picture.brand.clone_from(&to);
                    }
                }
                Edit::Remove { brand, blake3 } => entries.retain(|(picture, _)| {
                    picture.brand != brand
                        || blake3.as_ref().is_some_and(|hash| picture.blake3 != *hash)
                }),
                Edit::Calibrate(calibration) => next.calibration = calibration,
                Edit::CalibrateScenes(calibration) => next.scene_calibration = calibration,
                Edit::Begin { model, numbers } => {
                    entries.clear();
                    (next.model, next.numbers) = (model, numbers);
                    next.calibration = None;
                    next.scene_calibration = None;
                }
            }
        }
        // Stable: within a brand the order of enrolling stays.
        entries.sort_by(|a, b| a.0.brand.cmp(&b.0.brand));
        let dim = next.model.embedding_dim as usize;
        let (pictures, embeddings): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        next.pictures = pictures;
        next.embeddings = Matrix::owned(dim, embeddings.concat());
        next.prototypes = prototypes(dim, &next.pictures, &next.embeddings);
        next
    }
}

/// An embedding as it is stored: what is computed of it now is then what the next change computes.
fn as_stored(mut embedding: Vec<f32>, numbers: Numbers) -> Vec<f32> {
    if numbers == Numbers::F16 {
        let half = |x: &mut f32| *x = f16::from_f32(*x).to_f32();
        embedding.iter_mut().for_each(half);
    }
    embedding
}

fn prototypes(dim: usize, pictures: &[GalleryPicture], embeddings: &Matrix) -> Matrix {
    let mut values = Vec::new();
    for brand in brands(pictures) {
        let rows: Vec<Vec<f32>> = brand.pictures.map(|place| embeddings.row(place)).collect();
        values.extend(prototype(dim, rows.iter().map(Vec::as_slice)));
    }
    Matrix::owned(dim, values)
}

/// The mean of embeddings `[D]` of length one, brought to length one; zeros where they cancel out.
pub fn prototype<'a>(dim: usize, embeddings: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f32> {
    let mean = mean(dim, embeddings);
    let norm = norm(&mean);
    let unit = |x: &f64| if norm > 0.0 { (x / norm) as f32 } else { 0.0 };
    mean.iter().map(unit).collect()
}

/// Numbers of the files that are enrolled, by hash: places in [`Contents::pictures`].
pub fn by_file(pictures: &[GalleryPicture]) -> HashMap<&str, Vec<usize>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, picture) in pictures.iter().enumerate() {
        places.entry(&picture.blake3).or_default().push(place);
    }
    places
}
