//! A whole gallery to another place: from a directory to a database, and back.

use anyhow::{Context, Result};
use logodex_program::usage;
use logodex_schemas::gallery::{GalleryPicture, PictureSource};

use crate::gallery::contents::{Contents, Edit};
use crate::gallery::snapshot::Gallery;
use crate::gallery::store::Store;

/// Copies all that a gallery holds to a place where there is no gallery yet: brands, pictures, embeddings to the bit, the
/// calibrations, and the files that it keeps, its model among them. All or nothing, but for files.
/// Gives what is there then.
///
/// # Errors
/// [`logodex_program::Failure::Usage`] where there is a gallery already; what holds either of them.
pub fn copy(from: &Gallery, to: &Store) -> Result<Contents> {
    let taken = || {
        usage(format!(
            "{to}: there is a gallery already, and a copy would be mixed with it; `logodex export` and `logodex import --parquet` bring a gallery's pictures into another"
        ))
    };
    if to.generation()?.is_some() {
        return Err(taken());
    }
    let model = from.model();
    if let Some(file) = from.store().model(&model.fingerprint) {
        to.keep_model(&file, &model.fingerprint)?;
    }
    for path in from.pictures().iter().filter_map(kept) {
        let file = from.store().picture(path);
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        to.keep_picture(&bytes)?;
    }
    let begin = Contents::empty(model.clone(), from.numbers());
    to.edit(Some(begin), |current| {
        if current.generation > 0 {
            return Err(taken());
        }
        let add = |(place, picture): (usize, &GalleryPicture)| Edit::Add {
            picture: picture.clone(),
            embedding: from.embedding(place),
        };
        let mut edits: Vec<Edit> = from.pictures().iter().enumerate().map(add).collect();
        if from.calibration().is_some() {
            edits.push(Edit::Calibrate(from.calibration().cloned()));
        }
        if from.scene_calibration().is_some() {
            edits.push(Edit::CalibrateScenes(from.scene_calibration().cloned()));
        }
        Ok(edits)
    })
}

/// The path of a picture that the gallery keeps itself.
fn kept(picture: &GalleryPicture) -> Option<&str> {
    match &picture.source {
        PictureSource::File { path } if !path.starts_with('/') => Some(path),
        _ => None,
    }
}
