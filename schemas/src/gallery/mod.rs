//! A gallery: the brands that `logodex` knows by name, with the embeddings of a few pictures of each.
//!
//! `gallery.json` is the gallery: it names the files of one generation (`generations/<n>/`) with their hashes. A change writes
//! the next generation and then this file anew, by rename. `embeddings.safetensors` has `embeddings` `[N, D]`, F32 or F16, of
//! length one, in the order of the lines of `pictures.jsonl`, and `prototypes` `[B, D]` of the brands in the order of their
//! names.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::FileEntry;
use crate::header::Header;

/// The header of [`GalleryManifest`].
pub fn gallery_header() -> Header {
    Header::new("logodex-gallery", 1)
}

/// `gallery.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GalleryManifest {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Program and version that wrote it.
    pub created_by: String,
    /// Counts the changes; the folder of its files below `generations`.
    pub generation: u64,
    /// The model whose embeddings these are.
    pub model: GalleryModel,
    /// How embeddings are stored.
    pub numbers: Numbers,
    /// Brands.
    pub brands: u64,
    /// Pictures N.
    pub pictures: u64,
    /// The generation's files.
    pub files: BTreeMap<String, FileEntry>,
    /// From which similarity on a picture is of an enrolled brand, if that was found out on this gallery.
    pub calibration: Option<GalleryCalibration>,
    /// The same of whole scenes, looked at through windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene_calibration: Option<SceneCalibration>,
    /// BLAKE3 of this file with this value replaced by zeros: see [`crate::header::seal`].
    pub seal: String,
}

/// A model, as a gallery knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GalleryModel {
    /// Its fingerprint ([`crate::onnx::ModelMetadata`]).
    pub fingerprint: String,
    /// The run that it was exported from.
    pub run: String,
    /// D, numbers per embedding.
    pub embedding_dim: u32,
}

/// How a gallery's embeddings are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits: half the file, searched where it lies; a similarity moves by some 0.0001.
    F16,
}

/// A line of `pictures.jsonl`: a picture of an enrolled brand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GalleryPicture {
    /// The brand's name.
    pub brand: String,
    /// Where the picture was taken from, to embed it again with another model.
    pub source: PictureSource,
    /// BLAKE3 of the image file's bytes, hexadecimal.
    pub blake3: String,
    /// The logo's box `[x0, y0, x1, y1)`, pixels, as it was given; none for the whole picture.
    #[serde(rename = "box", default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[u32; 4]>,
    /// What was shown to the model, `[x, y, width, height]`, pixels: the box with its context, as the model's fit takes it.
    pub crop: [u32; 4],
    /// Perceptual hash of the whole picture, 16 hexadecimal digits; of a dataset's row, of what it shows.
    pub phash: String,
}

/// Where an enrolled picture was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PictureSource {
    /// An image file.
    File {
        /// Its absolute path; of a picture that the gallery keeps, `pictures/<name>` below the gallery.
        path: String,
    },
    /// A row of a dataset.
    Row {
        /// The dataset's absolute path.
        dataset: String,
        /// BLAKE3 of its manifest, hexadecimal.
        manifest_blake3: String,
        /// The row.
        row: u64,
    },
}

/// The similarities of strangers to a gallery: each one's best, over all enrolled brands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GalleryCalibration {
    /// Who the strangers were.
    pub strangers: Strangers,
    /// Brands that each was compared with.
    pub enrolled: u64,
    /// Pictures of strangers.
    pub pictures: u64,
    /// Their brands, where known.
    pub brands: Option<u64>,
    /// Their highest best similarities, in descending order: at most [`TAIL`](GalleryCalibration::TAIL) of them.
    pub best: Vec<f32>,
}

impl GalleryCalibration {
    /// How many best similarities are kept: thresholds are wanted where few strangers are.
    pub const TAIL: usize = 10_000;
}

/// Which windows a picture is looked at through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tiling {
    /// Sides of the windows, as parts of the picture's shorter side, each above 0 and at most 1.
    pub sides: Vec<f64>,
    /// How far one window lies from the next, as a part of its side.
    pub step: f64,
    /// The shortest side of a window, pixels; less only where the picture has less.
    pub least: u32,
}

impl Default for Tiling {
    /// Some 150 windows on a photograph of 4 : 3.
    fn default() -> Self {
        Self {
            sides: vec![1.0, 0.7, 0.5, 0.35, 0.25],
            step: 0.5,
            least: 16,
        }
    }
}

/// The similarities of scenes without an enrolled brand to a gallery: each one's best, over all windows and brands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SceneCalibration {
    /// The windows.
    pub tiling: Tiling,
    /// Windows of a scene, on average.
    pub windows: u64,
    /// The scenes, as `pictures`, and their best similarities.
    pub scenes: GalleryCalibration,
}

/// The index by which a gallery in a database is searched approximately, as it was found when it was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GalleryIndex {
    /// Links per vector.
    pub m: u32,
    /// Candidates that were kept while a vector was linked.
    pub ef_construction: u32,
    /// Candidates that a search keeps.
    pub ef_search: i32,
    /// The share of the `k` nearest brands that a search found.
    pub recall: f64,
    /// Brands that each search should find.
    pub k: u32,
    /// Searches, by enrolled pictures.
    pub queries: u32,
    /// The gallery's generation then.
    pub generation: u64,
}

/// Who the strangers of a calibration were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Strangers {
    /// Every enrolled picture, compared with all brands but its own.
    Enrolled,
    /// Pictures of other brands.
    Pictures {
        /// Where they lay, as it was typed.
        from: String,
    },
}

/// A line of `logodex identify --json`: what a picture shows, as far as the gallery knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Identified {
    /// The file, as it was named.
    pub file: String,
    /// Whether a brand is named.
    pub verdict: Verdict,
    /// The brand; none of an unknown one.
    pub brand: Option<String>,
    /// Similarity to the most similar brand; none where no brand is enrolled.
    pub similarity: Option<f32>,
    /// From which similarity on a brand is named.
    pub threshold: f64,
    /// The share of strangers that the threshold takes for an enrolled brand at the gallery's size, as calibrated; none for a
    /// threshold that was typed.
    pub false_accept_rate: Option<f64>,
    /// The most similar brands, most similar first.
    pub top: Vec<Candidate>,
}

/// Whether a picture shows an enrolled brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The most similar brand reaches the threshold.
    Known,
    /// None does.
    Unknown,
}

/// A brand that a picture may show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// Its name.
    pub brand: String,
    /// Cosine similarity of the picture to the brand's prototype.
    pub similarity: f32,
}

/// A line of `logodex identify --json` with `--tiles` or `--detector`: which logos a picture holds, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scene {
    /// What its most similar part shows.
    #[serde(flatten)]
    pub best: Identified,
    /// Parts that were looked at.
    pub looked_at: u64,
    /// Those that are told, most similar first: by windows the known ones, by a detector all.
    pub boxes: Vec<IdentifiedBox>,
}

/// A part of a picture, and what it shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdentifiedBox {
    /// Where it lies, `[x0, y0, x1, y1)`, pixels.
    #[serde(rename = "box")]
    pub bbox: [u32; 4],
    /// The detector's score; none of a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Whether a brand is named.
    pub verdict: Verdict,
    /// The brand; none of an unknown one.
    pub brand: Option<String>,
    /// Similarity to the most similar brand; none where no brand is enrolled.
    pub similarity: Option<f32>,
    /// The most similar brands, most similar first.
    pub top: Vec<Candidate>,
}

/// A line of `logodex identify --json` for a file that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotIdentified {
    /// The file, as it was named.
    pub file: String,
    /// Why.
    pub error: String,
}
