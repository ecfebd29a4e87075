//! One evaluated model: what its directory holds.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    ConfusionRow, CurveRow, EpisodeRow, Evaluation, EvaluationRow, Threshold, ThresholdKind,
};
use logodex_schemas::train::TrainConfig;

use crate::learning_curves::Epoch;
use crate::protocols::paper::PAPER;

/// One evaluated model.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its folder's name.
    pub folder: String,
    /// `evaluation.json`.
    pub evaluation: Evaluation,
    /// Its own lines of `evaluation.csv`, without the floors.
    pub rows: Vec<EvaluationRow>,
    /// `episodes.csv`, of the first region.
    pub episodes: Vec<EpisodeRow>,
    /// `confusion.csv`, of the first region.
    pub confusion: Vec<ConfusionRow>,
    /// The value of each of `rows` in every resample; empty when `bootstrap.safetensors` is missing.
    pub replicates: Vec<Vec<f32>>,
    /// `curves.csv`: its own and those of floors, of the first region.
    pub curves: Vec<CurveRow>,
    /// `config.toml` as it stands, for a run.
    pub config: Option<String>,
    /// The training, for a run of at least one epoch.
    pub training: Option<Training>,
}

/// How a model was trained.
#[derive(Debug)]
pub struct Training {
    /// `config.toml`.
    pub config: TrainConfig,
    /// The epochs of `metrics.jsonl`.
    pub epochs: Vec<Epoch>,
}

impl Model {
    /// Whether it is a baseline: what the others are measured against.
    pub fn is_baseline(&self) -> bool {
        self.name.starts_with("baseline_")
    }

    /// The threshold of that kind.
    pub fn tau(&self, shots: u32, kind: ThresholdKind) -> Option<f64> {
        self.threshold(shots, kind).map(|t| t.tau)
    }

    /// The threshold of that kind of protocol `paper` on the first region, with its F1 over all thresholds.
    pub fn threshold(&self, shots: u32, kind: ThresholdKind) -> Option<&Threshold> {
        let thresholds = &self.evaluation.thresholds;
        thresholds.iter().find(|t| {
            t.shots == shots && t.kind == kind && t.protocol == PAPER && self.is_shown(t.region)
        })
    }

    /// Whether this is the region that was judged first.
    pub fn is_shown(&self, region: Region) -> bool {
        self.evaluation.first_region() == Some(region)
    }
}
