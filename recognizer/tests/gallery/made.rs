//! Galleries of made-up embeddings.

use std::path::Path;

use logodex_pixels::Crop;
use logodex_recognizer::Gallery;
use logodex_recognizer::gallery::enrol::NewPicture;
use logodex_schemas::dataset::{Encoding, Fit, Region};
use logodex_schemas::gallery::{Numbers, PictureSource};
use logodex_schemas::onnx::{Distance, ModelMetadata, Precision, Preprocessing, model_header};
use logodex_schemas::run::history::History;
use logodex_schemas::train::{Arch, Head, Pooling};

/// Numbers per embedding.
pub const DIM: usize = 8;

/// A model of this fingerprint, as far as a gallery asks.
pub fn model(fingerprint: &str) -> ModelMetadata {
    ModelMetadata {
        header: model_header(),
        created_by: "a test".to_owned(),
        run: "made".to_owned(),
        epochs_done: 1,
        model_blake3: "0".repeat(64),
        manifest_blake3: "0".repeat(64),
        arch: Arch::Resnet18,
        pooling: Pooling::Average,
        head: Head::Contrastive,
        preprocessing: Preprocessing {
            side: 32,
            fit: Fit::Squash,
            region: Region::Image,
            context: 0.1,
            encoding: Encoding::Raw,
            jpeg_quality: 90,
            decoder: String::new(),
            resizer: String::new(),
            mean: [0.5; 3],
            std: [0.25; 3],
        },
        embedding_dim: DIM as u32,
        distance: Distance::Cosine,
        precision: Precision::Fp32,
        agreement: None,
        calibration: None,
        history: History::untrained(),
        fingerprint: fingerprint.to_owned(),
        seal: String::new(),
    }
}

/// An empty gallery at a place, or the one that is there.
pub fn gallery(dir: &Path) -> Gallery {
    of(dir, Numbers::F32)
}

/// As [`gallery`], of these numbers.
pub fn of(dir: &Path, numbers: Numbers) -> Gallery {
    Gallery::open_or_begin(dir.to_str().unwrap(), &model("made"), numbers).unwrap()
}

/// A picture of a brand; `n` tells it from all others, and `direction` says where its embedding points.
pub fn picture(brand: &str, n: u64, direction: [f32; 3]) -> NewPicture {
    let mut embedding = vec![0.0; DIM];
    embedding[..3].copy_from_slice(&direction);
    let norm = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
    embedding.iter_mut().for_each(|x| *x /= norm);
    let hash = blake3::hash(&n.to_le_bytes());
    NewPicture {
        brand: brand.to_owned(),
        source: PictureSource::File {
            path: format!("/pictures/{n}.jpg"),
        },
        blake3: hash.to_hex().to_string(),
        bbox: None,
        crop: Crop {
            x: 0,
            y: 0,
            width: 100,
            height: 80,
        },
        phash: u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()),
        embedding,
    }
}

/// The brands with their numbers of pictures.
pub fn counts(gallery: &Gallery) -> Vec<(&str, usize)> {
    let brands = gallery.brands().iter();
    brands
        .map(|brand| (brand.name.as_str(), brand.pictures.len()))
        .collect()
}
