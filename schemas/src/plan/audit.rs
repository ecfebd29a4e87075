//! The audit of a clean-up: what a person is to see and to decide before a dataset is built.
//!
//! A [`Finding`] is one question with its evidence. A person's answers are [`crate::plan::Overrides`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::{Reject, RejectReason};
use crate::header::Header;
use crate::plan::consolidation::{Effect, GroupRule, Member, Overlap, PlanSummary, Sameness};
use crate::plan::overrides::Overrides;
use crate::split::Fold;

/// The header of `audit.json`.
pub fn audit_header() -> Header {
    Header::new("logodex-audit", 1)
}

/// `audit.json`: what the rules did to a raw tree, and what only a person can decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// The tree that was audited, as [`crate::plan::ConsolidationPlan::raw_blake3`].
    pub raw_blake3: String,
    /// The effect of the plan in numbers.
    pub summary: PlanSummary,
    /// Files and objects refused, by reason.
    pub refused: BTreeMap<RejectReason, u64>,
    /// Beyond which numbers the quality of a picture is poor.
    pub quality: QualityLimits,
    /// The answers that the plan obeys already.
    pub overrides: Overrides,
    /// What needs a person, the riskiest first.
    pub findings: Vec<Finding>,
    /// Every picture that a finding shows; findings name them by position.
    pub pictures: Vec<Picture>,
    /// Every brand after consolidation, sorted by category and name.
    pub brands: Vec<AuditBrand>,
    /// What differs from the plan that lay in the directory before; none where there was none.
    pub changed: Option<Vec<String>>,
    /// The fingerprint of the model that was asked, where one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// Every file and object refused.
    pub rejects: Vec<Reject>,
}

/// A brand as the plan has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditBrand {
    /// Category.
    pub category: String,
    /// Its name.
    pub brand: String,
    /// Its folders.
    pub folders: Vec<String>,
    /// Images kept.
    pub images: u64,
}

/// What a finding is about. The order is that of the risk of doing nothing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Folders that become one brand.
    Family,
    /// A folder in which no object names the folder.
    MislabelledFolder,
    /// One file in several brands.
    SharedPicture,
    /// Pictures of different brands that look the same.
    NearPicture,
    /// Pictures of different brands that are similar: a suspicion.
    SimilarPicture,
    /// Two brands with nearly the same name.
    NearName,
    /// Two brands that a model takes for one.
    AlikeBrands,
    /// A folder some of whose objects name another brand.
    ForeignName,
    /// A folder with pictures that a model takes for another brand's.
    LooksLikeAnother,
    /// A folder with boxes that are tiny or take the whole picture, or with objects that were refused.
    OddBoxes,
    /// A folder with pictures that hold next to nothing. This kind and the six that follow are suspicions.
    LowInformation,
    /// A folder with blurry pictures.
    BlurryPictures,
    /// A folder with pictures that are dark all over.
    DarkPictures,
    /// A folder with pictures that are light all over.
    LightPictures,
    /// A folder with pictures far smaller or larger than the others of the tree.
    OddSize,
    /// A folder with pictures that are very long or very wide.
    OddAspect,
    /// A folder with pictures without colour.
    GreyPictures,
    /// A folder with pictures that are like no other of the tree to a model.
    FarPicture,
    /// A folder that holds copies of its own pictures.
    OwnCopies,
}

/// What the pictures of a family's folders say of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FamilyVerdict {
    /// Some of the folders share no picture with the others, as the plan's verdict: joined by their names alone.
    Disjoint,
    /// Folders hold the same pictures, and the annotations of some disagree about boxes.
    Conflict,
    /// Folders share some of their pictures and have others of their own.
    Partial,
    /// At least 95 % of the pictures of every folder but the first are in another one.
    Copy,
}

/// One question, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Names the finding as long as its kind and its subjects stay the same; where it is about the quality of pictures, its
    /// kind and its folder.
    pub id: String,
    /// What it is about.
    pub kind: FindingKind,
    /// What the pictures say, for a family.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<FamilyVerdict>,
    /// How much is wrong if the rules are, images: what orders findings of one kind.
    pub weight: u64,
    /// Category of the first subject.
    pub category: String,
    /// Brand that the first subject belongs to.
    pub brand: String,
    /// Folders or images that an answer is about, relative to the folder of the categories.
    pub subjects: Vec<String>,
    /// What was found, a sentence.
    pub says: String,
    /// What happens if nobody answers, a sentence.
    pub otherwise: String,
    /// Why the folders are one brand, for a family.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<GroupRule>,
    /// The folders, and what their annotations say.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub members: Vec<Member>,
    /// Shared images per pair of members.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub overlap: Vec<Overlap>,
    /// Images that look alike per pair of members, in the order of `overlap`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub looks: Vec<LookOverlap>,
    /// What the group does, in numbers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<Effect>,
    /// What keeping the folders apart would add: brands and kept images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub apart: Option<Apart>,
    /// What the objects are named, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub names: Vec<NameCount>,
    /// What all objects of each folder are named.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub labels: Vec<FolderLabels>,
    /// The other brand that it is about, `<Category>/<brand>`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other: Option<String>,
    /// Pictures that are the same or look the same, side by side.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pairs: Vec<PicturePair>,
    /// How many pairs there are; `pairs` shows the first.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub pairs_total: u64,
    /// The folds that its brands lie in, if several, in the split that the audit was given.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub folds: Vec<Fold>,
    /// Every picture of a poor quality, the worst first, in the order of `subjects` and `alone`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub flagged: Vec<FlaggedPicture>,
    /// Pictures that no other folder has, or that the finding is about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alone: Vec<u32>,
    /// How many of those there are.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub alone_total: u64,
    /// Whether the overrides answer it already.
    pub answered: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What keeping the folders of a family apart adds to a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Apart {
    /// Brands.
    pub brands: u64,
    /// Images kept that are dropped as copies of another folder's.
    pub kept: u64,
}

/// Images of two folders that look alike. What is in `a` and not in `b` are the images of `a` ([`Member::images`]) less these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LookOverlap {
    /// First folder.
    pub a: String,
    /// Second folder.
    pub b: String,
    /// Images of `a` for which `b` has one whose perceptual hash differs in at most 4 of 64 bits: nearly the same.
    pub a_within_4: u64,
    /// Images of `b` for which `a` has one, at most 4 bits away.
    pub b_within_4: u64,
    /// Images of `a` for which `b` has one at most 8 bits away: similar.
    pub a_within_8: u64,
    /// Images of `b` for which `a` has one, at most 8 bits away.
    pub b_within_8: u64,
}

/// A picture whose quality is poor, and the number that says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlaggedPicture {
    /// Relative to the folder of the categories.
    pub image: String,
    /// Of the finding's kind: `dark_pictures`: the brightness, 0 to 1, that 99 % of the pixels do not exceed; `light_pictures`:
    /// the one that 5 % do not reach; `low_information`: entropy, bits; `blurry_pictures`: the standard deviation of the edges;
    /// `grey_pictures`: the largest difference of a pixel's channels, 0 to 255; `odd_aspect`: the shorter side in parts of the
    /// longer; `odd_size`: the square root of width times height, pixels.
    pub value: f64,
}

/// Beyond which numbers a picture is flagged. All but the sizes are the same for every tree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityLimits {
    /// Dark: the brightness, 0 to 1, that 99 % of the pixels do not exceed.
    pub dark_below: f64,
    /// Light: the brightness that 5 % of the pixels do not reach.
    pub light_above: f64,
    /// Low information: the entropy of the values of all channels, bits.
    pub entropy_below: f64,
    /// Blurry: the standard deviation of the edges of the grey picture at 64 pixels, 0 to 255.
    pub blurry_edges_below: f64,
    /// And that of the counts of its 256 grey levels: a drawing has more.
    pub blurry_tones_below: f64,
    /// Grey: the largest difference of two channels of a pixel, 0 to 255.
    pub grey_up_to: u8,
    /// Odd aspect: the shorter side in parts of the longer.
    pub aspect_below: f64,
    /// Odd size: the square root of width times height, pixels: three interquartile ranges below the first quartile.
    pub size_from: f64,
    /// The same above the third.
    pub size_to: f64,
    /// Odd size, too: the shorter side, pixels.
    pub side_from: u32,
}

/// How often objects bear a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameCount {
    /// The `<name>`.
    pub name: String,
    /// Objects.
    pub objects: u64,
    /// The brand of that name, `<Category>/<brand>`, if it is another one of the tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub brand: Option<String>,
}

/// The label histogram of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FolderLabels {
    /// Folder name.
    pub folder: String,
    /// Its names, the most frequent first; `brand` is another than the folder's own.
    pub names: Vec<NameCount>,
    /// Objects of names that are not listed because there are too many.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub others: u64,
}

/// Why of two copies the one is kept, and so its annotation believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeptBecause {
    /// Its folder comes before the other's: the spelling that most objects bear, without a number or with the lowest.
    TrustedFolder,
    /// It is the first of its folder.
    FirstOfFolder,
    /// The other would come first, but its annotation has no box, or none that is large enough to make a row.
    HasBox,
}

/// Two pictures to be compared, positions in [`Audit::pictures`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PicturePair {
    /// The picture kept, or the first.
    pub a: u32,
    /// The copy dropped, or the second.
    pub b: u32,
    /// In what they are the same; none if they only look it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub same: Option<Sameness>,
    /// Why `a` is kept and `b` is dropped; none if both are kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub because: Option<KeptBecause>,
    /// Bits of 64 in which their perceptual hashes differ, where they only look the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distance: Option<u32>,
    /// Whether the one's annotation has another box than the other's.
    pub differ: bool,
}

/// A picture of the raw tree and what its annotation says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// Relative to the folder of the categories.
    pub image: String,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Position on the contact sheets; none where the page has no room for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tile: Option<u32>,
    /// Its objects that could be read.
    pub objects: Vec<PictureObject>,
}

/// An object of an annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PictureObject {
    /// Its `<name>`.
    pub name: String,
    /// `[xmin, ymin, xmax, ymax]`, pixels of the picture.
    pub bbox: [f64; 4],
}
