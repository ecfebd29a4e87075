//! What consolidation does to a raw tree, brand by brand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::ConsolidateConfig;
use crate::header::Header;
use crate::plan::overrides::Overrides;

/// The header of `consolidation.json` and of a plan under review.
pub fn plan_header() -> Header {
    Header::new("logodex-plan", 3)
}

/// What consolidation does to a raw tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsolidationPlan {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// BLAKE3 over the lines `<blake3 of the file>  <path>\n` of every image and annotation, sorted by path: the tree
    /// that this plan is for.
    pub raw_blake3: String,
    /// The rules that were on.
    pub rules: ConsolidateConfig,
    /// Of copies, one with a box at least this large stays before one without: the build's `min_object_px`, the shorter
    /// side in source pixels.
    pub min_object_px: u32,
    /// The person's word, as applied.
    pub overrides: Overrides,
    /// The effect in numbers.
    pub summary: PlanSummary,
    /// Every brand that is more than its one folder as it stands, sorted by category and brand.
    pub groups: Vec<Group>,
    /// Exact copies that lie in different brands, a group per file: kept, and listed, because a person must decide.
    pub copies_across_brands: Vec<CrossBrandCopies>,
    /// Kept images of different brands that look the same though their bytes differ, sorted by path: kept, and listed.
    pub near_images: Vec<NearImage>,
    /// Images that resemble more images of other brands than are compared: for these `near_images` may lack pairs, so
    /// that no split is drawn unless duplicates are allowed.
    pub crowded_images: Vec<String>,
    /// Different brands with nearly the same name, the most suspicious first: never joined, and listed.
    pub near_names: Vec<NearName>,
    /// Objects whose `<name>` is neither their folder nor one of its family. The folder is the label.
    pub foreign_names: Vec<ForeignName>,
}

/// The effect of a plan in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
    /// Brand folders in the raw tree.
    pub folders: u64,
    /// Brands after consolidation.
    pub brands: u64,
    /// Pairs of image and annotation that were read.
    pub images: u64,
    /// Images kept.
    pub kept: u64,
    /// Identical copies dropped.
    pub dropped: u64,
    /// Images kept under another file name.
    pub renamed: u64,
}

/// One brand that joins folders, drops copies, or both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Category.
    pub category: String,
    /// Canonical brand.
    pub brand: String,
    /// Why these folders are one brand.
    pub rule: GroupRule,
    /// What their pictures say of it.
    pub verdict: Verdict,
    /// Where the verdict is `disjoint`: the folders by the pictures that they share.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Vec<String>>,
    /// The folders, in the order in which copies are kept: the first is the most trusted.
    pub members: Vec<Member>,
    /// Shared images per pair of members, counted by bytes, by decoded pixels and by look.
    pub overlap: Vec<Overlap>,
    /// Copies dropped.
    pub dropped: Vec<DroppedCopy>,
    /// Images that keep their content under another name, because the name was taken.
    pub renamed: Vec<RenamedImage>,
    /// The same in numbers.
    pub effect: Effect,
    /// The `overrides.toml` entry that undoes this group.
    pub undo: String,
}

/// Why folders are one brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupRule {
    /// One folder: it holds copies of its own images, or its name is not in NFC, as a brand's is.
    Folder,
    /// `base-1`, `base-2`, …, and `base` where it exists.
    SuffixFamily,
    /// Names equal but for case, punctuation or their form in Unicode.
    FoldedName,
    /// Both of the above.
    SuffixFamilyAndFoldedName,
    /// A `[[merge]]` or `[[rename]]` of the overrides.
    Override,
}

/// What the pictures of a group's folders say of their being one brand. Nothing is joined for it: names join, and
/// `consolidate.join_disjoint = false` takes apart what is disjoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is one folder.
    OneFolder,
    /// Each folder shares pictures with the others, by bytes, pixels or look, be it through one of them.
    Shared,
    /// Folders share no picture: their names alone, or a person, join them.
    Disjoint,
}

/// A folder of a group and what its annotations say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Folder name.
    pub folder: String,
    /// Its images.
    pub images: u64,
    /// Objects in its annotations.
    pub objects: u64,
    /// Objects whose `<name>` is this folder.
    pub named_as_folder: u64,
    /// Objects whose `<name>` is the canonical brand or another member.
    pub named_as_family: u64,
    /// Its boxes, if it has any: members that hold the same pictures have nearly the same numbers.
    pub boxes: Option<BoxStats>,
}

/// The boxes of a folder, refused ones left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BoxStats {
    /// Boxes per image, mean.
    pub per_image: f64,
    /// Median width, source pixels.
    pub median_width: f64,
    /// Median height, source pixels.
    pub median_height: f64,
    /// Median area, square source pixels.
    pub median_area: f64,
    /// Median area as a fraction of the image's.
    pub median_coverage: f64,
}

/// What a group does to its images and objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// Images kept.
    pub kept: u64,
    /// Images dropped as copies.
    pub dropped: u64,
    /// Images kept under another name.
    pub renamed: u64,
    /// Objects of kept images whose `<name>` is not the canonical brand, but whose `<index>` is its.
    pub relabelled: u64,
}

/// Shared images of two members of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// First folder.
    pub a: String,
    /// Second folder.
    pub b: String,
    /// Images with the same bytes.
    pub same_bytes: u64,
    /// Images with the same decoded pixels (those with the same bytes among them).
    pub same_pixels: u64,
    /// Images of `b` for which `a` has one whose perceptual hash differs in at most 4 of its 64 bits.
    pub same_look: u64,
}

/// A copy that is dropped, and the image kept in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DroppedCopy {
    /// The copy, relative to the folder of the categories.
    pub image: String,
    /// The image kept.
    pub kept: String,
    /// What is the same.
    pub same: Sameness,
    /// Usable boxes `[xmin, ymin, xmax, ymax]` that the copy's annotation has and that of the image kept has not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub boxes_lost: Vec<[f64; 4]>,
}

/// In what two images are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sameness {
    /// The files' bytes.
    Bytes,
    /// The decoded pixels.
    Pixels,
}

/// An image kept under another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenamedImage {
    /// The image, relative to the folder of the categories.
    pub image: String,
    /// Its stem in the dataset.
    pub stem: String,
}

/// One file that several brands hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CrossBrandCopies {
    /// The group's id: BLAKE3 of the file.
    pub id: String,
    /// The image kept in each of the brands, relative to the folder of the categories, in byte order.
    pub images: Vec<String>,
}

/// Two images of different brands that look the same: their perceptual hashes differ in at most 4 of 64 bits, and a
/// second look at 32 × 32 pixels confirms it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NearImage {
    /// First image, relative to the folder of the categories.
    pub a: String,
    /// Second image.
    pub b: String,
    /// Canonical brand of the first; its category is the path's.
    pub brand_a: String,
    /// Canonical brand of the second.
    pub brand_b: String,
    /// Bits in which the hashes differ.
    pub distance: u32,
    /// Normalised cross-correlation of the two at 32 × 32 pixels of luma, at least 0.98.
    pub correlation: f64,
}

/// Two brands whose names could be one brand's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NearName {
    /// Category of the first.
    pub category_a: String,
    /// First brand.
    pub brand_a: String,
    /// Category of the second.
    pub category_b: String,
    /// Second brand.
    pub brand_b: String,
    /// In what they are alike.
    pub alike: NameLikeness,
    /// Damerau-Levenshtein distance of the names without case and punctuation, characters.
    pub edit_distance: u64,
    /// Jaro-Winkler similarity of the same, 0 to 1.
    pub jaro_winkler: f64,
    /// Pairs of `copies_across_brands` and `near_images` between the two.
    pub images_near: u64,
}

/// In what two names are alike: the first of these that holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NameLikeness {
    /// Equal but for case, punctuation or a leading "the".
    Equal,
    /// One is the other with more words behind it.
    FirstWords,
    /// One or two letters differ.
    Letters,
    /// Nearly the same letters in the same order (Jaro-Winkler).
    Similar,
}

/// Objects of one folder that name another brand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignName {
    /// Category.
    pub category: String,
    /// Folder.
    pub folder: String,
    /// The `<name>`.
    pub name: String,
    /// How many objects.
    pub objects: u64,
    /// The brand of that name, if the tree has one.
    pub brand: Option<String>,
    /// Whether no object at all names the folder: then `<index>` is the folder's, otherwise the named brand's.
    pub whole_folder: bool,
}
