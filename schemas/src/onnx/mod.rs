//! An exported model: one ONNX file, which says in its own metadata all that is needed to use it rightly.
//!
//! The graph takes squares as a dataset's rows hold them, `image` U8 `[N, side, side, 3]` (RGB), normalises them itself, and gives
//! `embedding` F32 `[N, D]` of length one, so that the product of two is their cosine similarity. N is free. Beside it, under the
//! key `logodex` of `metadata_props`, lies [`ModelMetadata`] as sealed JSON ([`crate::header::seal`]); [`read`] reads it.

mod file;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::{Encoding, Fit, Region};
use crate::header::{Header, is_sealed};
use crate::run::history::History;
use crate::train::{Arch, Head, Pooling};
use file::Error;

/// The key of [`ModelMetadata`] in `metadata_props`.
pub const METADATA_KEY: &str = "logodex";
/// The graph's one input: U8 `[N, side, side, 3]`, RGB.
pub const INPUT: &str = "image";
/// The graph's one output: F32 `[N, D]`, each of length one.
pub const OUTPUT: &str = "embedding";

/// The header of [`ModelMetadata`].
pub fn model_header() -> Header {
    Header::new("logodex-model", 1)
}

/// What an exported model says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelMetadata {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Program and version that exported it.
    pub created_by: String,
    /// The run's folder name.
    pub run: String,
    /// Epochs that its weights were trained for.
    pub epochs_done: u32,
    /// BLAKE3 of the `model.safetensors` that it was made from, hexadecimal.
    pub model_blake3: String,
    /// BLAKE3 of the manifest of the dataset that the run was trained on, hexadecimal.
    pub manifest_blake3: String,
    /// Backbone.
    pub arch: Arch,
    /// Pooling of the last feature map.
    pub pooling: Pooling,
    /// What follows the pooled features.
    pub head: Head,
    /// How a picture becomes what the graph takes.
    pub preprocessing: Preprocessing,
    /// D, numbers per embedding.
    pub embedding_dim: u32,
    /// What embeddings are compared by.
    pub distance: Distance,
    /// What the weights are stored as.
    pub precision: Precision,
    /// How near its embeddings are to those of the run's own weights; none for `fp32`, and without rows to compare on.
    pub agreement: Option<Agreement>,
    /// From which similarity on a picture is of an enrolled brand; none where the run's split has too few validation brands
    /// to tell.
    pub calibration: Option<Calibration>,
    /// What it was trained on: to be carried on by whatever is made from its embeddings.
    pub history: History,
    /// [`fingerprint`] of the file: two models with one fingerprint give the same embeddings.
    pub fingerprint: String,
    /// BLAKE3 of this document with 64 zeros here, hexadecimal.
    pub seal: String,
}

/// How the rows of the dataset came from pictures: whoever does the same gets embeddings that can be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preprocessing {
    /// Side of the squares, pixels.
    pub side: u32,
    /// How a region becomes a square.
    pub fit: Fit,
    /// What the network was trained on: whole images, objects or both.
    pub region: Region,
    /// Of objects: context on each side of a box, as a fraction of that side's length.
    pub context: f32,
    /// How the dataset stored its rows. From `jpeg` they had been compressed, with `jpeg_quality`, when the network saw them.
    pub encoding: Encoding,
    /// Quality of those JPEGs, 1 to 100.
    pub jpeg_quality: u8,
    /// JPEG decoder and its version.
    pub decoder: String,
    /// Resizer, its filter and its version.
    pub resizer: String,
    /// Subtracted from R, G and B as fractions of 255, inside the graph.
    pub mean: [f32; 3],
    /// What they are divided by then, inside the graph.
    pub std: [f32; 3],
}

/// What embeddings are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// 1 − cosine similarity.
    Cosine,
}

/// What the weights of an exported model are stored as. Input and output are the same in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As they were trained.
    Fp32,
    /// Half precision, computed with in single precision: half the file.
    Fp16,
    /// Eight bits, activations as well, scaled by training rows: a quarter of the file.
    Int8,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Fp16, Self::Int8];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }
}

/// Cosine similarity of the embeddings of the same rows, by the exported model and by the run's own weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// Validation rows, or of a run without them training rows.
    pub rows: u64,
    /// Their mean similarity.
    pub mean: f64,
    /// The lowest.
    pub lowest: f64,
}

/// Thresholds on the cosine similarity of a probe to a brand's prototype (the mean of its pictures' embeddings, brought to length
/// one), chosen on validation brands by the evaluator's open-set protocol, with this very model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// What the rows show.
    pub region: Region,
    /// The split's name.
    pub split: String,
    /// BLAKE3 of the split's CSV, hexadecimal.
    pub split_blake3: String,
    /// Seed of the draws.
    pub seed: u64,
    /// Draws of enrolled brands and of their pictures; the rates are over all of them together.
    pub draws: u32,
    /// Validation rows.
    pub rows: u64,
    /// The validation brands, `<category>/<brand>`, in the order of their indices.
    pub brands: Vec<String>,
    /// Those of them that the model was trained on: its thresholds are then too strict or too loose for brands never seen.
    pub seen_brands: Vec<String>,
    /// Thresholds by pictures per brand and brands enrolled, in ascending order of both.
    pub galleries: Vec<CalibratedGallery>,
}

/// Thresholds for galleries of one size. Strangers' best similarities rise with the number of brands enrolled, so that over more
/// brands the same threshold accepts more of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibratedGallery {
    /// Pictures per brand.
    pub shots: u32,
    /// Brands enrolled in each draw.
    pub enrolled: u32,
    /// Pictures of brands not enrolled that were asked about, over all draws.
    pub unknown_probes: u64,
    /// The thresholds, highest rate first.
    pub thresholds: Vec<CalibratedThreshold>,
}

/// The lowest similarity that is accepted, so that no larger share of the unknown probes is than was aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibratedThreshold {
    /// The false-accept rate aimed at. What is less than one of `unknown_probes` allows none of them.
    pub far: f64,
    /// A probe is accepted when its best similarity is this or more.
    pub similarity: f64,
    /// How many of the unknown probes it accepts.
    pub false_accepts: u64,
}

/// Reads what an exported model says of itself from the bytes of its file, and proves that neither that nor its graph was
/// changed since.
///
/// # Errors
/// Bytes that are no ONNX model, one of another tool, of another version, or damaged. The caller names the file.
pub fn read(onnx: &[u8]) -> Result<ModelMetadata, Error> {
    let parts = file::parts(onnx)?;
    let json = parts
        .metadata(METADATA_KEY)
        .ok_or("it was not exported by Logodex (no `logodex` in its metadata): make one with `logodex-train export`")?;
    let metadata: ModelMetadata = model_header().parse(json)?;
    if !is_sealed(json) {
        return Err(
            "its metadata is damaged or was edited (its seal does not fit): export it again".into(),
        );
    }
    if metadata.fingerprint != parts.fingerprint() {
        return Err(
            "its graph is damaged or was changed (its fingerprint does not fit): export it again"
                .into(),
        );
    }
    Ok(metadata)
}

/// The fingerprint of a model: the BLAKE3, hexadecimal, of the bytes of its `graph` (field 7 of ONNX's `ModelProto`) as they
/// lie in the file: every node, every weight, input and output, and none of the metadata.
///
/// # Errors
/// Bytes that are no ONNX model.
pub fn fingerprint(onnx: &[u8]) -> Result<String, Error> {
    Ok(file::parts(onnx)?.fingerprint())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::seal;

    fn metadata(fingerprint: &str) -> ModelMetadata {
        ModelMetadata {
            header: model_header(),
            created_by: "a test".to_owned(),
            run: "contrastive".to_owned(),
            epochs_done: 3,
            model_blake3: "aa".to_owned(),
            manifest_blake3: "bb".to_owned(),
            arch: Arch::Resnet18,
            pooling: Pooling::Gem,
            head: Head::Linear,
            preprocessing: Preprocessing {
                side: 224,
                fit: Fit::Letterbox,
                region: Region::Object,
                context: 0.1,
                encoding: Encoding::Raw,
                jpeg_quality: 90,
                decoder: "decoder 1".to_owned(),
                resizer: "resizer 1".to_owned(),
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
            },
            embedding_dim: 128,
            distance: Distance::Cosine,
            precision: Precision::Int8,
            agreement: Some(Agreement {
                rows: 2,
                mean: 0.999,
                lowest: 0.99,
            }),
            calibration: Some(Calibration {
                region: Region::Object,
                split: "paper".to_owned(),
                split_blake3: "cc".to_owned(),
                seed: 42,
                draws: 10,
                rows: 90,
                brands: vec!["Food/Émile \"7\"".to_owned()],
                seen_brands: vec![],
                galleries: vec![CalibratedGallery {
                    shots: 1,
                    enrolled: 4,
                    unknown_probes: 70,
                    thresholds: vec![CalibratedThreshold {
                        far: 0.1,
                        similarity: 0.1_f64.next_up(),
                        false_accepts: 7,
                    }],
                }],
            }),
            history: History::unknown("weights of a test"),
            fingerprint: fingerprint.to_owned(),
            seal: String::new(),
        }
    }

    #[test]
    fn metadata_comes_back_and_no_bit_of_it_or_of_the_graph_changes_unseen() {
        let graph = [7; 300];
        let bare = file::tests::model(&graph, &[]);
        let expected = metadata(&fingerprint(&bare).unwrap());
        let json = seal(&expected).unwrap();
        let whole = file::tests::model(&graph, &[(METADATA_KEY, &json)]);
        let found = read(&whole).unwrap();
        let sealed = found.seal.clone();
        assert_eq!(
            ModelMetadata {
                seal: String::new(),
                ..found
            },
            expected
        );
        assert_eq!(sealed.len(), 64);

        let first = whole.windows(graph.len()).position(|w| w == graph).unwrap();
        for bit in first * 8..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }

        let told = |file: &[u8]| read(file).unwrap_err().to_string();
        let other = metadata(&fingerprint(&file::tests::model(&[8; 300], &[])).unwrap());
        let other = seal(&other).unwrap();
        let other = file::tests::model(&graph, &[(METADATA_KEY, &other)]);
        assert!(told(&other).contains("fingerprint"), "{}", told(&other));
        assert!(
            told(&bare).contains("not exported by Logodex"),
            "{}",
            told(&bare)
        );
        let newer = String::from_utf8(json)
            .unwrap()
            .replace("\"version\": 1", "\"version\": 2");
        let newer = file::tests::model(&graph, &[(METADATA_KEY, newer.as_bytes())]);
        assert!(told(&newer).contains("version 2"), "{}", told(&newer));
    }
}
