//! What a person decides of a dataset before it is built: `logodex-data build --config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `logodex-data build --config FILE.toml`: every key may be left out and then has the value stated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BuildConfig {
    /// Side of the square stored images, pixels, 8 to 1024. Default 224.
    pub side: u32,
    /// What a row shows: the whole image (the paper), one annotated object, or rows of both kinds. Default `image`.
    pub region: Region,
    /// How a region becomes a square. Default `squash`.
    pub fit: Fit,
    /// How the shards store a row. Default `raw`.
    pub encoding: Encoding,
    /// With JPEG shards: quality, 1 to 100. Default 90.
    pub jpeg_quality: u8,
    /// With objects: context added on each side of a box, as a fraction of that side's length, 0 to 2.
    /// Default 0.1.
    pub context: f32,
    /// With objects: boxes whose shorter side is below this many source pixels make no row. Default 8.
    pub min_object_px: u32,
    /// The most that a shard file holds, about, MiB, 1 to 4096; shards are half full or more. Default 64.
    pub shard_mib: u32,
    /// The build fails with exit code 3 when more files or objects than this are refused. Default 100.
    pub max_rejects: u64,
    /// Which rules may join folders into one brand.
    pub consolidate: ConsolidateConfig,
}

impl Default for BuildConfig {
    fn default() -> Self {
        Self {
            side: 224,
            region: Region::Image,
            fit: Fit::Squash,
            encoding: Encoding::Raw,
            jpeg_quality: 90,
            context: 0.1,
            min_object_px: 8,
            shard_mib: 64,
            max_rejects: 100,
            consolidate: ConsolidateConfig::default(),
        }
    }
}

impl BuildConfig {
    /// What is wrong with the values, if anything.
    pub fn invalid(&self) -> Option<String> {
        if !(8..=1024).contains(&self.side) {
            Some(format!("side = {}: it must be 8 to 1024", self.side))
        } else if !(0.0..=2.0).contains(&self.context) {
            Some(format!("context = {}: it must be 0 to 2", self.context))
        } else if !(1..=4096).contains(&self.shard_mib) {
            Some(format!(
                "shard_mib = {}: it must be 1 to 4096",
                self.shard_mib
            ))
        } else if !(1..=100).contains(&self.jpeg_quality) {
            Some(format!(
                "jpeg_quality = {}: it must be 1 to 100",
                self.jpeg_quality
            ))
        } else {
            None
        }
    }
}

/// What one row of a dataset shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The whole picture.
    Image,
    /// One box with its context, cropped from the original pixels.
    Object,
    /// The whole picture, then each of its boxes, from one decode.
    Both,
}

impl Region {
    /// Whether whole pictures make rows.
    pub fn images(self) -> bool {
        self != Self::Object
    }

    /// Whether objects make rows.
    pub fn objects(self) -> bool {
        self != Self::Image
    }
}

/// How a region of any shape becomes a square. All three are bilinear with antialiasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Both sides scaled to the square's, whatever the aspect (the paper; torchvision's `Resize((side, side))`).
    Squash,
    /// The longer side scaled to the square's, the rest filled with the ImageNet mean colour (124, 116, 104), which
    /// normalisation turns into about 0.
    Letterbox,
    /// The largest centred square of the region (torchvision's `Resize(side)` and `CenterCrop(side)`).
    Cover,
}

/// How the shards store a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Pixels.
    Raw,
    /// JPEG, 4:4:4, of `jpeg_quality`: about a tenth of the bytes, decoded at each reading.
    Jpeg,
    /// `raw` where the shards stay below 4 GiB, else `jpeg`. It depends on the data alone, never on the machine; the
    /// manifest says what it came to.
    Auto,
}

/// The rules of consolidation, each on by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsolidateConfig {
    /// Join `base-1`, `base-2`, … (and `base`, where it exists) of one category into `base`. Default true.
    pub suffix_families: bool,
    /// Join names of one category that are equal after case and punctuation are folded away. Default true.
    pub folded_names: bool,
    /// Join what these rules join even where the folders share no picture, by bytes, pixels or look: by their names alone.
    /// The plan calls such a brand `disjoint`. If false, each part that shares pictures is a brand, named by its first folder.
    /// Default true.
    pub join_disjoint: bool,
}

impl Default for ConsolidateConfig {
    fn default() -> Self {
        Self {
            suffix_families: true,
            folded_names: true,
            join_disjoint: true,
        }
    }
}
