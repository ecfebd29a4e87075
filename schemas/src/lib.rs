//! Every type that Logodex writes to or reads from disk, and nothing else.
//!
//! The pipeline and the trainer meet only here: one writes these files, the other reads them. Each file carries its
//! `format` and `version`; a reader refuses another version instead of guessing. The JSON Schemas in `schemas/json`
//! are generated from these types ([`json_schemas`]) and a test fails when they are stale, and so is
//! the XSD of the annotations ([`voc::annotation_xsd`]).

pub mod dataset;
pub mod device;
pub mod evaluation;
pub mod header;
pub mod onnx;
pub mod plan;
pub mod random;
pub mod run;
pub mod split;
pub mod stats;
pub mod train;
pub mod voc;

pub use header::{FormatError, Header};

/// The JSON Schema of every JSON and TOML file and of every JSON line, by file name, in a fixed order.
///
/// # Examples
/// ```
/// let names: Vec<_> = logodex_schemas::json_schemas().into_iter().map(|(name, _)| name).collect();
/// assert!(names.contains(&"manifest"));
/// ```
pub fn json_schemas() -> Vec<(&'static str, serde_json::Value)> {
    macro_rules! schemas {
        ($($name:literal => $type:ty),* $(,)?) => {
            vec![$(($name, schemars::schema_for!($type).to_value())),*]
        };
    }
    schemas! {
        "build_config" => dataset::BuildConfig,
        "manifest" => dataset::Manifest,
        "reject" => dataset::Reject,
        "catalog_row" => dataset::CatalogRow,
        "brand_index_row" => dataset::BrandIndexRow,
        "brand_row" => dataset::BrandRow,
        "consolidation" => plan::ConsolidationPlan,
        "overrides" => plan::Overrides,
        "audit" => plan::audit::Audit,
        "dataset_stats" => stats::DatasetStats,
        "split" => split::Split,
        "split_row" => split::SplitRow,
        "train_config" => train::TrainConfig,
        "sweep_grid" => train::SweepGrid,
        "run_state" => run::RunState,
        "metrics_line" => run::MetricsLine,
        "stopped" => run::Stopped,
        "run_dataset" => run::RunDataset,
        "device_check" => device::DeviceCheck,
        "bench" => device::Benchmark,
        "history" => run::history::History,
        "model_metadata" => onnx::ModelMetadata,
        "evaluation" => evaluation::Evaluation,
        "evaluation_row" => evaluation::EvaluationRow,
        "episode_row" => evaluation::EpisodeRow,
        "retrieval_row" => evaluation::RetrievalRow,
        "confusion_row" => evaluation::ConfusionRow,
        "curve_row" => evaluation::CurveRow,
        "box_row" => dataset::BoxRow,
        "image_row" => dataset::ImageRow,
        "comparison_row" => evaluation::ComparisonRow,
    }
}
