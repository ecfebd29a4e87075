//! What evaluation says of a model: for machines in long form, for the report in one file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::header::Header;

/// The header of `evaluation.json`.
pub fn evaluation_header() -> Header {
    Header::new("logodex-evaluation", 1)
}

/// A line of `evaluation.csv`.
///
/// Protocols: `paper` (threshold chosen on validation brands) and `paper_oracle` (threshold chosen on the test brands
/// themselves, as the paper did; only the metrics that depend on it). Metrics: `accuracy precision recall f1 r_at_95p
/// map trace_ratio distance_ratio`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationRow {
    /// Model, or the floor `random` or `reject_all`.
    pub model: String,
    /// Protocol.
    pub protocol: String,
    /// Supports per episode.
    pub shots: u32,
    /// Metric.
    pub metric: String,
    /// Mean over episodes; for the two ratios the value over all test embeddings.
    pub mean: f64,
    /// Lower end of the 95 % interval (percentile bootstrap over brands).
    pub ci_low: f64,
    /// Upper end.
    pub ci_high: f64,
}

/// A line of `episodes.csv`: one episode of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpisodeRow {
    /// Protocol.
    pub protocol: String,
    /// Supports.
    pub shots: u32,
    /// 0-based episode.
    pub episode: u32,
    /// Support brand's index.
    pub brand: u32,
    /// (TP + TN) / queries.
    pub accuracy: f64,
    /// TP / (TP + FP), 0 without a prediction.
    pub precision: f64,
    /// TP / (TP + FN).
    pub recall: f64,
    /// Harmonic mean of the two, 0 on 0/0.
    pub f1: f64,
    /// Recall at the last rank whose precision is at least 0.95, else 0.
    pub r_at_95p: f64,
    /// Average precision.
    pub map: f64,
}

/// A line of the report's `comparisons.csv`: a paired difference over the same episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonRow {
    /// Model.
    pub model: String,
    /// The model it is compared with.
    pub reference: String,
    /// Protocol.
    pub protocol: String,
    /// Supports per episode.
    pub shots: u32,
    /// Metric.
    pub metric: String,
    /// Mean of model − reference.
    pub difference: f64,
    /// Lower end of its 95 % interval (percentile bootstrap over brands).
    pub ci_low: f64,
    /// Upper end.
    pub ci_high: f64,
}

/// `evaluation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Model: the run's folder name or the embedding file's stem.
    pub model: String,
    /// BLAKE3 of the dataset's manifest, hexadecimal.
    pub manifest_blake3: String,
    /// The split's name.
    pub split: String,
    /// BLAKE3 of the split's CSV, hexadecimal.
    pub split_blake3: String,
    /// Seed of the episodes and the bootstrap.
    pub seed: u64,
    /// Test episodes per number of shots.
    pub episodes: u32,
    /// Embedding size.
    pub embedding_dim: u32,
    /// Test brands.
    pub test_brands: u64,
    /// Test rows.
    pub test_rows: u64,
    /// Brands with too few images for an episode, per number of shots.
    pub too_few: Vec<TooFew>,
    /// The lines of `evaluation.csv`, floors among them.
    pub rows: Vec<EvaluationRow>,
    /// Thresholds and how F1 runs over them.
    pub thresholds: Vec<Threshold>,
    /// Cosine similarity of queries to prototypes over the test episodes.
    pub histograms: Vec<SimilarityHistogram>,
    /// A query, a positive and a negative each (the paper's Figure 9).
    pub examples: Vec<Example>,
}

/// Brands that no episode could use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TooFew {
    /// Supports per episode.
    pub shots: u32,
    /// The brands, by name.
    pub brands: Vec<String>,
}

/// On which brands a threshold was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdKind {
    /// On the validation brands.
    Transferred,
    /// On the test brands: a leak, reported because the paper's numbers have it.
    Oracle,
}

/// A threshold on the Euclidean distance to the prototype.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// Supports per episode.
    pub shots: u32,
    /// Where it was chosen.
    pub kind: ThresholdKind,
    /// The first threshold with the highest pooled F1.
    pub tau: f64,
    /// Pooled F1 at 0, 0.01, …, 2.
    pub f1: Vec<f64>,
}

/// Counts in equal bins from −1 to 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimilarityHistogram {
    /// Supports per episode.
    pub shots: u32,
    /// Queries of the support brand.
    pub positives: Vec<u64>,
    /// Queries of other brands.
    pub negatives: Vec<u64>,
}

/// A query with one picture of its brand and one of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The query.
    pub query: ExamplePicture,
    /// A picture of the same brand.
    pub positive: ExamplePicture,
    /// A picture of another brand.
    pub negative: ExamplePicture,
    /// Cosine similarity of query and positive.
    pub positive_similarity: f64,
    /// Cosine similarity of query and negative.
    pub negative_similarity: f64,
    /// The 1-shot threshold as a cosine similarity: 1 − τ²/2.
    pub threshold_similarity: f64,
}

/// A dataset row as a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExamplePicture {
    /// Row of the dataset.
    pub row: u64,
    /// Brand.
    pub brand: String,
    /// PNG, relative to the evaluation's directory.
    pub picture: String,
}
