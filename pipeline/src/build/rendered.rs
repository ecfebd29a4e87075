//! Keeps what became of images that were rendered, pixels aside: enough to number their rows a second time, which is
//! why the journal notes it.

use logodex_pixels::resize::Crop;
use logodex_schemas::dataset::{Reject, SourceFormat};
use serde::{Deserialize, Serialize};

/// A row as rendered: what it shows, and the checksum of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedRow {
    /// The object's position in its annotation; none for the whole image.
    pub object: Option<u32>,
    /// The source pixels shown.
    pub crop: Crop,
    /// CRC-32 of the row's stored bytes.
    pub crc32: u32,
}

/// An image that was decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedImage {
    /// Its position in the catalog's samples.
    pub sample: usize,
    /// Width as decoded, pixels.
    pub width: u32,
    /// Height as decoded, pixels.
    pub height: u32,
    /// What the file is.
    pub format: SourceFormat,
    /// Its rows: none where every object was refused or too small.
    pub rows: Vec<RenderedRow>,
}

/// What became of a shard's samples, pixels aside: enough to number its rows a second time.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The images that were decoded, in the order of the catalog.
    pub images: Vec<RenderedImage>,
    /// Images and objects that were refused.
    pub rejects: Vec<Reject>,
    /// Objects that are too small to make a row.
    pub small_objects: u64,
}
