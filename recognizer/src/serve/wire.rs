//! What goes over the wire, as the OpenAPI document describes it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::http::input::Area;

/// The most brands that an answer lists.
pub const MOST_TOP: u32 = 100;
/// The most brands on a page of the list.
pub const MOST_BRANDS: u32 = 500;

/// A picture in JSON
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The bytes of a JPEG, PNG, GIF or WebP file, as Base64 with padding
    #[schema(content_encoding = "base64", example = "iVBORw0KGgo…")]
    pub image: String,
    /// Left, top, right and bottom of the logo, in pixels of the stored picture, right and bottom outside; none is the whole
    /// picture
    #[serde(rename = "box", default)]
    #[schema(value_type = Option<Vec<u32>>, min_items = 4, max_items = 4)]
    pub area: Option<Area>,
}

/// What `POST /v1/identify` takes as JSON
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentifyRequest {
    /// The bytes of a JPEG, PNG, GIF or WebP file, as Base64 with padding
    #[schema(content_encoding = "base64")]
    pub image: String,
    /// Left, top, right and bottom of the logo, in pixels of the stored picture, right and bottom outside; none is the whole
    /// picture
    #[serde(rename = "box", default)]
    #[schema(value_type = Option<Vec<u32>>, min_items = 4, max_items = 4)]
    pub area: Option<Area>,
    /// How many brands and pictures to list
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100, default = 5)]
    pub top: Option<u32>,
}

/// What `POST /v1/identify` takes as a form
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct IdentifyForm {
    /// A JPEG, PNG, GIF or WebP file
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// `left,top,right,bottom` in pixels of the stored picture
    #[schema(rename = "box", pattern = "^[0-9]{1,8}(,[0-9]{1,8}){3}$")]
    r#box: Option<String>,
    /// How many brands and pictures to list
    #[schema(minimum = 1, maximum = 100)]
    top: Option<u32>,
}

/// What a picture shows, as far as the gallery knows
#[derive(Debug, Serialize, ToSchema)]
pub struct Identification {
    /// Whether a brand is named
    pub verdict: Verdict,
    /// The brand; null for an unknown one
    pub brand: Option<String>,
    /// Cosine similarity to the most similar brand; null where no brand is enrolled
    pub similarity: Option<f32>,
    /// From which similarity on a brand is named
    pub threshold: f64,
    /// The share of strangers that the threshold takes for an enrolled brand at this gallery's size, as calibrated; null for a
    /// threshold that was typed
    pub false_accept_rate: Option<f64>,
    /// The most similar brands, most similar first
    pub top: Vec<NearBrand>,
    /// The most similar enrolled pictures, most similar first
    pub nearest: Vec<NearPicture>,
}

/// Whether a picture shows an enrolled brand
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The most similar brand reaches the threshold
    Known,
    /// None does
    Unknown,
}

/// A brand that a picture may show
#[derive(Debug, Serialize, ToSchema)]
pub struct NearBrand {
    /// Its name
    pub brand: String,
    /// Cosine similarity of the picture to the brand's prototype
    pub similarity: f32,
    /// The brand's first picture
    pub picture: String,
}

/// An enrolled picture that is similar
#[derive(Debug, Serialize, ToSchema)]
pub struct NearPicture {
    /// The picture, for `GET /v1/pictures/{picture}`
    pub picture: String,
    /// Its brand
    pub brand: String,
    /// Cosine similarity of the two pictures
    pub similarity: f32,
}

/// What `POST /v1/verify` takes as JSON
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// One picture
    pub a: Picture,
    /// The other
    pub b: Picture,
}

/// What `POST /v1/verify` takes as a form
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct VerifyForm {
    /// One picture's file
    #[schema(value_type = String, format = Binary)]
    a: Vec<u8>,
    /// `left,top,right,bottom` in it
    #[schema(pattern = "^[0-9]{1,8}(,[0-9]{1,8}){3}$")]
    box_a: Option<String>,
    /// The other's file
    #[schema(value_type = String, format = Binary)]
    b: Vec<u8>,
    /// `left,top,right,bottom` in it
    #[schema(pattern = "^[0-9]{1,8}(,[0-9]{1,8}){3}$")]
    box_b: Option<String>,
}

/// Whether two pictures show one brand
#[derive(Debug, Serialize, ToSchema)]
pub struct Verification {
    /// Whether the similarity reaches the threshold
    pub same: bool,
    /// Cosine similarity of the two
    pub similarity: f32,
    /// From which similarity on they are of one brand
    pub threshold: f64,
}

/// What `POST /v1/brands/{brand}/pictures` takes as JSON
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// Pictures of the brand
    #[schema(min_items = 1, max_items = 64)]
    pub pictures: Vec<Picture>,
    /// Take pictures that are enrolled already, too
    #[serde(default)]
    pub allow_duplicates: bool,
}

/// What `POST /v1/brands/{brand}/pictures` takes as a form
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct EnrolForm {
    /// Pictures of the brand, one field `image` for each
    #[schema(value_type = Vec<String>, format = Binary, min_items = 1, max_items = 64)]
    image: Vec<Vec<u8>>,
    /// `left,top,right,bottom` in the picture before it
    #[schema(pattern = "^[0-9]{1,8}(,[0-9]{1,8}){3}$")]
    r#box: Option<String>,
    /// Take pictures that are enrolled already, too
    allow_duplicates: Option<bool>,
}

/// What enrolling says of itself
#[derive(Debug, Serialize, ToSchema)]
pub struct Enrolled {
    /// The brand
    pub brand: String,
    /// How many pictures it has now
    pub pictures: u64,
    /// Those that are new, for `GET` and `DELETE /v1/pictures/{picture}`
    pub enrolled: Vec<String>,
    /// Those that are not, because they are enrolled already
    pub refused: Vec<Refused>,
    /// How well it can be told from the others
    pub check: SelfCheck,
}

/// A picture that is enrolled already
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// Its place in the request, from 0
    pub at: u64,
    /// The brand that it is enrolled of
    pub brand: String,
    /// The picture that it is, or looks like
    pub picture: String,
    /// Whether it is the same part of the same file; otherwise it looks the same
    pub same_file: bool,
}

/// How well a brand can be told from the others
#[derive(Debug, Serialize, ToSchema)]
pub struct SelfCheck {
    /// The most similar other brand; null for the first one
    pub nearest: Option<String>,
    /// Cosine similarity of the two brands' prototypes
    pub nearest_similarity: Option<f32>,
    /// How much nearer its pictures are to their own brand than to any other, at the least; null for the first brand, or where
    /// a brand has one picture
    pub margin: Option<f32>,
    /// What a person should look at
    pub warning: Option<String>,
}

/// Which brands to list
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only brands whose name has this in it, in small or capital letters
    #[serde(default)]
    pub search: String,
    /// Only brands after this one: a page's `next`
    pub after: Option<String>,
    /// How many
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<u32>,
}

/// A page of the list of brands, in the order of their names
#[derive(Debug, Serialize, ToSchema)]
pub struct BrandList {
    /// The brands
    pub brands: Vec<Brand>,
    /// How many there are on all pages
    pub total: u64,
    /// The `after` of the next page; null on the last one
    pub next: Option<String>,
}

/// An enrolled brand
#[derive(Debug, Serialize, ToSchema)]
pub struct Brand {
    /// Its name
    pub brand: String,
    /// How many pictures it has
    pub pictures: u64,
    /// The first of them
    pub picture: String,
}

/// An enrolled brand with its pictures
#[derive(Debug, Serialize, ToSchema)]
pub struct BrandPictures {
    /// Its name
    pub brand: String,
    /// Its pictures, for `GET` and `DELETE /v1/pictures/{picture}`
    pub pictures: Vec<String>,
}

/// What `PATCH /v1/brands/{brand}` takes
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRequest {
    /// The new name, which no brand has
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
}

/// What is left of a brand
#[derive(Debug, Serialize, ToSchema)]
pub struct Remaining {
    /// The brand
    pub brand: String,
    /// How many pictures it has now
    pub pictures: u64,
}

/// The gallery as a whole
#[derive(Debug, Serialize, ToSchema)]
pub struct GallerySummary {
    /// Brands enrolled
    pub brands: u64,
    /// Their pictures
    pub pictures: u64,
    /// Counts its changes
    pub generation: u64,
    /// From which similarity on a brand is named
    pub threshold: f64,
    /// The share of strangers that the threshold takes for an enrolled brand, as calibrated; null for a threshold that was
    /// typed
    pub false_accept_rate: Option<f64>,
    /// The model
    pub model: ModelSummary,
}

/// The model whose embeddings are compared
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelSummary {
    /// What tells it from others
    pub fingerprint: String,
    /// The run that it was exported from
    pub run: String,
    /// Numbers per embedding
    pub dim: u32,
    /// Side of the squares that it looks at, pixels
    pub side: u32,
}

/// Health and readiness
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// `ok`
    pub status: &'static str,
}
