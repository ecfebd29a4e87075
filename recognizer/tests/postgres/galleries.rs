//! Galleries of made-up embeddings.

use logodex_pixels::Crop;
use logodex_recognizer::Gallery;
use logodex_recognizer::gallery::contents::{Contents, Edit};
use logodex_recognizer::gallery::enrol::NewPicture;
use logodex_recognizer::gallery::store::Store;
use logodex_schemas::gallery::{GalleryModel, GalleryPicture, Numbers, PictureSource};
use logodex_schemas::random::stream;
use rand::Rng;

pub const DIM: usize = 24;

pub fn model(dim: usize) -> GalleryModel {
    GalleryModel {
        fingerprint: format!("{dim:064x}"),
        run: "made-up".to_owned(),
        embedding_dim: dim as u32,
    }
}

/// A vector of length one. Few levels, so that some are equal.
pub fn embedding(seed: u64, dim: usize) -> Vec<f32> {
    let mut rng = stream(14, "postgres", &[seed]);
    let values: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let norm = values.iter().map(|x| x * x).sum::<f32>().sqrt();
    values.iter().map(|x| x / norm).collect()
}

pub fn picture(brand: &str, seed: u64) -> GalleryPicture {
    new_picture(brand, seed).record()
}

pub fn new_picture(brand: &str, seed: u64) -> NewPicture {
    let source = match seed % 3 {
        0 => PictureSource::Row {
            dataset: "/data/\"quoted\"".to_owned(),
            manifest_blake3: "00".to_owned(),
            row: u64::MAX - seed,
        },
        _ => PictureSource::File {
            path: format!("/pictures/{seed}\t\\ ü.jpg"),
        },
    };
    NewPicture {
        brand: brand.to_owned(),
        source,
        blake3: blake3::hash(&seed.to_le_bytes()).to_hex().to_string(),
        bbox: seed
            .is_multiple_of(2)
            .then_some([1, 2, 3, seed as u32 % 1_000]),
        crop: Crop {
            x: 0,
            y: 1,
            width: 64,
            height: 65,
        },
        phash: stream(14, "phash", &[seed]).random(),
        embedding: embedding(seed, DIM),
    }
}

pub fn add(brand: &str, seed: u64, vector: u64) -> Edit {
    Edit::Add {
        picture: picture(brand, seed),
        embedding: embedding(vector, DIM),
    }
}

/// Makes changes, beginning the gallery where there is none.
pub fn edit(store: &Store, numbers: Numbers, edits: Vec<Edit>) -> anyhow::Result<Contents> {
    store.edit(Some(Contents::empty(model(DIM), numbers)), |_| Ok(edits))
}

/// Everything that two galleries can differ in, but the place.
pub fn assert_equal(a: &Gallery, b: &Gallery) {
    assert_eq!(a.generation(), b.generation());
    assert_eq!(a.model(), b.model());
    assert_eq!(a.numbers(), b.numbers());
    assert_eq!(a.calibration(), b.calibration());
    assert_eq!(a.scene_calibration(), b.scene_calibration());
    assert_eq!(a.pictures(), b.pictures());
    assert_eq!(a.brands(), b.brands());
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for place in 0..a.pictures().len() {
        assert_eq!(bits(a.embedding(place)), bits(b.embedding(place)));
    }
    for place in 0..a.brands().len() {
        assert_eq!(bits(a.prototype(place)), bits(b.prototype(place)));
    }
}
