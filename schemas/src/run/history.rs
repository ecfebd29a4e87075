//! What a model was trained on, as the safetensors files that hold its weights or its embeddings carry it in their own
//! metadata: it goes wherever the file goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;

/// The key of a [`History`], as JSON, in the metadata of a safetensors file.
pub const HISTORY_KEY: &str = "logodex.history";

/// The header of a [`History`].
pub fn history_header() -> Header {
    Header::new("logodex-history", 1)
}

/// What a model was trained on, through any number of trainings that each began with the weights of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// The trainings, oldest first; none of weights as they are initialised.
    pub trainings: Vec<Training>,
    /// What else went into it, of which nobody knows what it was trained on: weights of other tools, by file name and
    /// BLAKE3.
    pub unknown: Vec<String>,
    /// The source images of every brand trained on: of each the first 16 hexadecimal digits of the BLAKE3 of its file, in
    /// ascending order, one behind the other.
    pub images: String,
}

impl History {
    /// That of weights which were never trained.
    pub fn untrained() -> Self {
        Self {
            header: history_header(),
            trainings: Vec::new(),
            unknown: Vec::new(),
            images: String::new(),
        }
    }

    /// That of something of which it is only known what it is.
    pub fn unknown(what: &str) -> Self {
        Self {
            unknown: vec![what.to_owned()],
            ..Self::untrained()
        }
    }
}

/// A training: the brands of a split's training fold that a run learnt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Training {
    /// BLAKE3 of the dataset's manifest, hexadecimal.
    pub manifest_blake3: String,
    /// The split's name.
    pub split: String,
    /// BLAKE3 of the split's CSV, hexadecimal.
    pub split_blake3: String,
    /// Brands trained on.
    pub brands: u64,
}

/// What is known of what a judged model was trained on, beside the brands that it was judged on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrainedOn {
    /// The trainings, oldest first.
    pub trainings: Vec<Training>,
    /// What else went into it, of which nobody knows what it was trained on.
    pub unknown: Vec<String>,
    /// Test brands that it was trained on, by name: a leak. A brand is one that it was trained on when any image of it is, byte
    /// for byte, one of a brand trained on, whatever either is called.
    pub test_brands: Vec<String>,
    /// Validation brands that it was trained on: its thresholds were chosen on them.
    pub val_brands: Vec<String>,
}
