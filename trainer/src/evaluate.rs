//! `logodex-train evaluate`: brings the embeddings of a run, or of any other tool, to the evaluator.

use std::path::{Path, PathBuf};

use anyhow::Result;
use logodex_dataset::{Dataset, Split};
use logodex_evaluation::command::evaluate::{EvaluateArgs, evaluate_files, evaluate_with};
use logodex_evaluation::command::options::regions;
use logodex_evaluation::embeddings::matching::Rows;
use logodex_schemas::dataset::Region;
use logodex_schemas::run::history::History;
use logodex_schemas::split::Fold;

use crate::run::Which;
use crate::train::embed::{embed_fold, open_network};

/// What is typed after `logodex-train evaluate`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --run runs/contrastive --out runs/contrastive\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --embeddings test.safetensors --embeddings val.safetensors --name mine --out runs/mine\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --embeddings clip.npy --rows rows.npy --name clip --out runs/clip"
)]
pub struct RunOrFiles {
    /// What `logodex-eval evaluate` is told, too.
    #[command(flatten)]
    pub files: EvaluateArgs,
    /// Directory of a run: its validation and test brands are embedded and judged.
    #[arg(
        long,
        required_unless_present = "embeddings",
        conflicts_with = "embeddings"
    )]
    pub run: Option<PathBuf>,
    /// Which of the run's checkpoints: last, best or epoch-NNN.
    #[arg(long, default_value = "last")]
    pub checkpoint: Which,
}

/// Evaluates, writes the results below `--out` and prints the tables.
///
/// # Errors
/// As [`evaluate_files`], and as [`open_network`] for a run.
pub fn evaluate_command(args: &RunOrFiles) -> Result<()> {
    match &args.run {
        None => evaluate_files(&args.files),
        Some(run) => evaluate_with(&args.files, run, |dataset, split| {
            let asked = args.files.options.region;
            embed(run, args.checkpoint, asked, dataset, split)
        }),
    }
}

/// Embeds the validation and the test brands with a run, region by region.
fn embed(
    run: &Path,
    checkpoint: Which,
    asked: Option<Region>,
    dataset: &Dataset,
    split: &Split,
) -> Result<(Vec<(Region, Rows)>, History)> {
    let run = open_network(run, checkpoint, dataset, split)?;
    let mut all = Vec::new();
    for region in regions(asked, dataset, run.region) {
        let has_rows = |fold: Fold| !dataset.rows(&dataset.fold(split, fold), region).is_empty();
        let embed = |fold: Fold| embed_fold(&run, dataset, split, fold, region);
        if has_rows(Fold::Test) {
            let rows = Rows {
                test: embed(Fold::Test)?,
                val: has_rows(Fold::Val).then(|| embed(Fold::Val)).transpose()?,
                notices: vec![],
            };
            all.push((region, rows));
        }
    }
    Ok((all, run.history))
}
