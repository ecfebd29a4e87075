//! The lines of evaluation's CSV files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::Region;

/// A line of `evaluation.csv`.
///
/// | protocol | shots | metrics |
/// |---|---|---|
/// | `paper` (threshold from validation brands), `paper_oracle` (from the test brands themselves, as the paper did; only the metrics that depend on it) | K | `accuracy precision recall f1 r_at_95p map trace_ratio distance_ratio` |
/// | `paper_cosine`, `paper_cosine_oracle`: the same by cosine similarity | K | `accuracy precision recall f1 r_at_95p map` |
/// | `n_way_k_shot` | K | `accuracy_5_way accuracy_20_way accuracy_all_way` |
/// | `retrieval` (every row asks all others), `retrieval_query_gallery` (no source image on both sides) | 0 | `recall_at_1 recall_at_5 recall_at_10 r_precision map_at_r map` |
/// | `open_set` (half of the brands enrolled with K supports each) | K | `auroc eer tar_at_far_10 tar_at_far_1 tar_at_far_01 fpr_at_95tpr dir_at_far_10 dir_at_far_1 dir_at_far_01 oscr`, and with a threshold set on validation brands `far_at_val_far_…`, `far_error_at_val_far_…` and `dir_at_val_far_…` |
///
/// `…far_10`, `…far_1` and `…far_01` are false-accept rates of 10, 1 and 0.1 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationRow {
    /// Model, or the floor `random`, `reject_all` or `colour_histogram`.
    pub model: String,
    /// Protocol.
    pub protocol: String,
    /// Supports per brand; 0 where there are none.
    pub shots: u32,
    /// Metric.
    pub metric: String,
    /// Mean over episodes, queries or draws; for the two ratios the value over all test embeddings.
    pub mean: f64,
    /// Lower end of the 95 % interval (bootstrap over brands).
    pub ci_low: f64,
    /// Upper end.
    pub ci_high: f64,
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// `all`, `few_images`, `small_boxes`, `many_boxes`, `text_like` or `category: NAME`: which episodes or queries are
    /// averaged. What they are compared with is the same. `retrieval`, `retrieval_query_gallery` and `n_way_k_shot` have
    /// all of them, `paper` and `paper_cosine` those that the support brand decides (`few_images` and categories), the
    /// others `all` alone.
    pub slice: String,
    /// Brands that have a value, over which the bootstrap is drawn.
    pub brands: u32,
}

/// The slice of everything.
pub const ALL: &str = "all";

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
    /// What the rows show: `image` or `object`.
    pub region: Region,
}

/// A line of `retrieval.csv`: what one test row found among all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetrievalRow {
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// Row of the dataset.
    pub row: u64,
    /// Its brand's index.
    pub brand: u32,
    /// Rows of its brand in other source images; 0: it is no query, and in no mean.
    pub positives: u32,
    /// Rank of the first of them; 0 without one.
    pub first_rank: u32,
    /// Share of positives among the first R, R the number of positives.
    pub r_precision: f64,
    /// Average precision within the first R.
    pub map_at_r: f64,
    /// Average precision.
    pub map: f64,
    /// The ten nearest rows of other source images, nearest first, by spaces.
    pub nearest_rows: String,
    /// Their cosine similarities.
    pub nearest_similarities: String,
}

/// A line of `confusion.csv`: how many queries of one brand found a picture of another (or of their own) nearest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfusionRow {
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// The queries' brand, by index.
    pub brand: u32,
    /// Its name.
    pub brand_name: String,
    /// The brand of the row nearest to them in another source image, by index.
    pub nearest: u32,
    /// Its name.
    pub nearest_name: String,
    /// Queries, as in protocol `retrieval`.
    pub queries: u32,
}

/// A line of `curves.csv`: a point of a curve of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurveRow {
    /// Model, or the floor `colour_histogram`.
    pub model: String,
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// Protocol.
    pub protocol: String,
    /// Supports per brand.
    pub shots: u32,
    /// `roc` (x: share of unknown probes accepted, y: share of known ones), `dir` (y: share of known probes accepted
    /// and rightly named; the area under it is OSCR), `precision_recall` (x: recall, y: precision, over all queries of
    /// the test episodes).
    pub curve: String,
    /// Abscissa.
    pub x: f64,
    /// Ordinate.
    pub y: f64,
}

/// A line of the report's `comparisons.csv`: a paired difference over the same episodes, queries or draws.
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
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// Slice, as in `evaluation.csv`.
    pub slice: String,
    /// Value of model − reference.
    pub difference: f64,
    /// Lower end of its 95 % interval (bootstrap over brands).
    pub ci_low: f64,
    /// Upper end.
    pub ci_high: f64,
}
