//! A dataset directory: how it is to be built ([`BuildConfig`]), and what it says of itself ([`Manifest`] and the tables
//! beside it).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;

mod config;

pub use config::{BuildConfig, ConsolidateConfig, Encoding, Fit, Region};

/// The dataset layout that this crate describes.
pub const DATASET_VERSION: u32 = 3;

/// The header of `manifest.json`.
pub fn manifest_header() -> Header {
    Header::new("logodex-dataset", DATASET_VERSION)
}

/// `manifest.json`: written last, by rename. A directory is a dataset if and only if it has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Program and version that built it.
    pub created_by: String,
    /// The configuration, every default spelled out.
    pub config: BuildConfig,
    /// JPEG decoder and its version.
    pub decoder: String,
    /// Resizer, its filter and its version.
    pub resizer: String,
    /// How the shards store a row: `raw` or `jpeg`, as `config.encoding` came to.
    pub encoding: Encoding,
    /// JPEG encoder and its version, where the shards are JPEG.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoder: Option<String>,
    /// Sizes.
    pub counts: Counts,
    /// The shards in row order.
    pub shards: Vec<ShardEntry>,
    /// Every other file but the annotations and the splits, by path relative to the dataset, `/` between folders.
    pub files: BTreeMap<String, FileEntry>,
    /// The annotations: their number, bytes, and the BLAKE3 over the lines `<blake3>  <path>\n`, sorted by path.
    pub annotations: AnnotationsEntry,
    /// BLAKE3 of this file with this value replaced by zeros: see [`crate::header::seal`].
    pub seal: String,
}

/// How much a dataset holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Brands after consolidation.
    pub brands: u64,
    /// Categories.
    pub categories: u64,
    /// Source images kept.
    pub images: u64,
    /// Objects in the kept images' annotations.
    pub objects: u64,
    /// Rows in the shards.
    pub rows: u64,
    /// Identical copies dropped by consolidation.
    pub dropped_copies: u64,
    /// Files and objects refused (`rejects.jsonl`).
    pub rejects: u64,
}

/// One shard of a dataset: a safetensors file.
///
/// Its first tensor holds the rows: `images` U8 `[n, side, side, 3]` (RGB), or, in JPEG shards, `blob` U8 `[bytes]` and
/// `offsets` U64 `[n + 1]` (row `i` is `blob[offsets[i]..offsets[i + 1]]`; the blob is padded to a multiple of 8). Then
/// `crc32` U32 `[n]` (CRC-32/ISO-HDLC of each row's stored bytes), `brand` I64 `[n]`, `row` I64 `[n]`, `image` I64 `[n]`
/// (the source image's number: two rows with the same number were cut from the same picture), `object` I64 `[n]` (its
/// position in the annotation, -1 for the whole picture). The header is padded with spaces so that the first tensor
/// begins at a multiple of 4,096 bytes.
///
/// `brand`, `row` and `image` count from 0 within the shard: `first_brand`, `first_row` and `first_image` are to be added.
/// So a shard's bytes depend on nothing but its own images, and what comes before it may change without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardEntry {
    /// Path relative to the dataset.
    pub path: String,
    /// First row.
    pub first_row: u64,
    /// Number of the first row's image.
    pub first_image: u64,
    /// Brand index of the first row.
    pub first_brand: u32,
    /// Number of rows.
    pub n_rows: u64,
    /// Length, bytes.
    pub bytes: u64,
    /// BLAKE3 of the file, hexadecimal.
    pub blake3: String,
    /// BLAKE3 of what follows its first tensor, hexadecimal: checksums and numbers, which readers check before they believe
    /// them.
    pub columns_blake3: String,
}

/// Length and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Length, bytes.
    pub bytes: u64,
    /// BLAKE3, hexadecimal.
    pub blake3: String,
}

/// All annotation files as one entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct AnnotationsEntry {
    /// Number of files.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// BLAKE3 of the sorted list, hexadecimal.
    pub blake3: String,
}

/// A line of `brand_to_index.csv`: the paper's lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrandIndexRow {
    /// Canonical brand.
    pub brand: String,
    /// 0-based, dense, in the byte order of the brands.
    pub index: u32,
}

/// A line of `brands.csv`. Rows are sorted by brand, so a brand is a range of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrandRow {
    /// The brand's index.
    pub index: u32,
    /// Its category, as spelled on disk.
    pub category: String,
    /// Canonical brand. Two categories may each have one of this name.
    pub brand: String,
    /// `<category>/<brand>`: no other brand has it.
    pub key: String,
    /// Its first row.
    pub first_row: u64,
    /// Its number of rows.
    pub n_rows: u64,
    /// Its number of source images.
    pub n_images: u64,
    /// Its number of objects in those images' annotations.
    pub n_objects: u64,
}

/// A line of `boxes.csv`: the logos that a row shows, for readers without Parquet and XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoxRow {
    /// Row number, dense from 0.
    pub row: u64,
    /// Usable boxes in the source image's annotation.
    pub boxes: u32,
    /// Width of the box shown, without its context, source pixels; of a whole image, that of its largest box.
    pub width: u32,
    /// Height of that box.
    pub height: u32,
}

/// A line of `images.csv`: a source image that has rows, for readers without Parquet. By its content a brand is known in
/// any build and under any name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageRow {
    /// Number of the source image, dense from 0.
    pub image: u64,
    /// BLAKE3 of the raw image's bytes, hexadecimal.
    pub blake3: String,
}

/// A row of `catalog.parquet`, which has these columns in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogRow {
    /// Row number, dense from 0.
    pub row: u64,
    /// Brand index.
    pub brand_index: u32,
    /// Category.
    pub category: String,
    /// Canonical brand.
    pub brand: String,
    /// Number of the source image, dense from 0.
    pub image: u64,
    /// Position of the object in its annotation, or none for a whole image.
    pub object: Option<u32>,
    /// Raw JPEG, relative to the folder of the categories.
    pub raw_image: String,
    /// Raw annotation, relative to the folder of the categories.
    pub raw_annotation: String,
    /// Indexed annotation, relative to the dataset.
    pub annotation: String,
    /// The object's `<name>` as annotated; for a whole image the first object's.
    pub name: Option<String>,
    /// Source width, pixels, as decoded.
    pub width: u32,
    /// Source height, pixels, as decoded.
    pub height: u32,
    /// What the raw image is, by its content.
    pub source_format: SourceFormat,
    /// Left edge of the region shown, source pixels.
    pub x: u32,
    /// Top edge of the region shown, source pixels.
    pub y: u32,
    /// Width of the region shown, source pixels.
    pub region_width: u32,
    /// Height of the region shown, source pixels.
    pub region_height: u32,
    /// BLAKE3 of the raw JPEG's bytes, hexadecimal.
    pub blake3: String,
    /// Shard number.
    pub shard: u32,
    /// Position in the shard.
    pub position: u32,
}

/// How a source image is coded, as told by its first bytes: its name is never trusted.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    /// JPEG in colour.
    #[default]
    Jpeg,
    /// JPEG of one component.
    JpegGrey,
    /// JPEG of four components: CMYK or YCCK.
    JpegCmyk,
    /// PNG of any depth.
    Png,
    /// GIF, of which the first frame is taken.
    Gif,
    /// WebP; of an animation the first frame is taken.
    Webp,
}

impl SourceFormat {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Jpeg,
        Self::JpegGrey,
        Self::JpegCmyk,
        Self::Png,
        Self::Gif,
        Self::Webp,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::JpegGrey => "jpeg_grey",
            Self::JpegCmyk => "jpeg_cmyk",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// The format that is written so.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A line of `rejects.jsonl`: something that was refused, and nothing else was lost with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Reject {
    /// The file, relative to the folder of the categories.
    pub path: String,
    /// The object's position in its annotation when only that object was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<u32>,
    /// Why.
    pub reason: RejectReason,
    /// What was found, for a person.
    pub detail: String,
}

/// Why a file or an object was refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The image file has no bytes.
    ImageEmpty,
    /// The JPEG ends before its last row.
    ImageTruncated,
    /// The file is no image that can be decoded, or its data are corrupt.
    ImageBroken,
    /// The image has more pixels than the decoder is allowed.
    ImageTooLarge,
    /// An annotation without its image.
    ImageMissing,
    /// An image without its annotation.
    AnnotationMissing,
    /// The annotation is not well-formed XML, or not a Pascal VOC annotation.
    AnnotationBroken,
    /// The annotation is not UTF-8.
    AnnotationNotUtf8,
    /// The annotation lists no object.
    AnnotationNoObject,
    /// The file cannot be read.
    Unreadable,
    /// The path is not UTF-8.
    PathNotUtf8,
    /// Two images of one folder differ only in the case of their extension or stem.
    DuplicateStem,
    /// A box's edge is no finite number.
    BoxNotANumber,
    /// A box has no area.
    BoxEmpty,
    /// A box's minimum exceeds its maximum.
    BoxInverted,
    /// A box lies wholly outside its image.
    BoxOutside,
    /// An object without a name, or with more than one.
    ObjectNameless,
    /// An object that is byte for byte an earlier one of its annotation, which is kept.
    ObjectDuplicate,
    /// An image or annotation that does not lie at `<Category>/<brand>/<file>` but above or below.
    Misplaced,
}
