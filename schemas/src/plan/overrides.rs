//! A person's word on a plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `overrides.toml`: a person's word, which always wins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// Join these folders into one brand.
    pub merge: Vec<MergeOverride>,
    /// Keep these folders apart, whatever the rules say.
    pub keep_apart: Vec<KeepApartOverride>,
    /// Give a brand another name.
    pub rename: Vec<RenameOverride>,
    /// Leave a folder or an image out.
    pub drop: Vec<DropOverride>,
    /// What the audit asked and a person found right as it is. Changes nothing, and is not asked again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<AcceptOverride>,
}

/// Joins folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeOverride {
    /// Category.
    pub category: String,
    /// Folders, the most trusted first.
    pub folders: Vec<String>,
    /// The name of the whole.
    pub brand: String,
    /// Why.
    pub reason: String,
}

/// Keeps folders apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepApartOverride {
    /// Category.
    pub category: String,
    /// Folders, each a brand of its own under its own name.
    pub folders: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Renames a brand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameOverride {
    /// Category.
    pub category: String,
    /// The brand as the rules name it.
    pub brand: String,
    /// Its name from now on.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// Leaves something out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropOverride {
    /// A folder `<Category>/<brand>` or an image `<Category>/<brand>/<n>.jpg`.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Says that a finding of the audit needs no change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptOverride {
    /// The `id` of the finding in `audit.json`: its kind and subjects.
    pub finding: String,
    /// Why.
    pub reason: String,
}
