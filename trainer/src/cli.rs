//! The command line of `logodex-train`, and which error means which exit code.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use logodex_schemas::split::Fold;

use crate::config::UsageError;
use crate::dataset::DatasetError;
use crate::device::bench::{BenchArgs, bench};
use crate::device::check::{SelfcheckArgs, selfcheck};
use crate::eval::command::{EvaluateArgs, evaluate_command};
use crate::model::weights::WeightsError;
use crate::report::report_command;
use crate::run::Which;
use crate::{embed, train};

/// Trains networks that tell logos of brands they have never seen, and judges them.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration (also a path that does not exist), 5 corrupt dataset or
/// another format version.
#[derive(Debug, Parser)]
#[command(name = "logodex-train", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a run from a configuration, or continue one.
    #[command(
        after_help = "Example:\n  logodex-train fit --dataset data/logodet3k --split paper \\\n    --config trainer/configs/contrastive_cosine.toml --run runs/contrastive"
    )]
    Fit {
        /// Dataset directory, as `logodex-data build` makes it.
        #[arg(long)]
        dataset: PathBuf,
        /// Name of a split, as `logodex-data split` draws it.
        #[arg(long)]
        split: String,
        /// The experiment; every key is documented in schemas/json/train_config.schema.json.
        #[arg(long, value_name = "FILE.toml")]
        config: PathBuf,
        /// Directory of the run; must not hold one yet unless --resume is given.
        #[arg(long)]
        run: PathBuf,
        /// Continue the run from its newest checkpoint, bit for bit as if it had never stopped.
        #[arg(long)]
        resume: bool,
    },
    /// Embed a fold with a run's checkpoint: safetensors with `embeddings` F32 [N,D], `brand` I64 [N], `row` I64 [N].
    #[command(
        after_help = "Example:\n  logodex-train embed --dataset data/logodet3k --split paper \\\n    --run runs/contrastive --fold test --out test.safetensors"
    )]
    Embed {
        /// Dataset directory.
        #[arg(long)]
        dataset: PathBuf,
        /// Name of the split the run was trained on.
        #[arg(long)]
        split: String,
        /// Directory of the run.
        #[arg(long)]
        run: PathBuf,
        /// Which brands: train, val or test.
        #[arg(long, value_parser = parse_fold)]
        fold: Fold,
        /// File to write.
        #[arg(long, value_name = "FILE.safetensors")]
        out: PathBuf,
        /// Which of the run's checkpoints.
        #[arg(long, default_value = "last")]
        checkpoint: Which,
    },
    /// Judge a run, or embeddings of any tool, on brands never trained on: the paper's few-shot test.
    Evaluate(EvaluateArgs),
    /// Gather evaluated runs into one offline page, with Markdown and CSV beside it.
    #[command(
        after_help = "Example:\n  logodex-train report --out runs/report runs/dataset runs/contrastive runs/baseline_features"
    )]
    Report {
        /// Directory for report.html, report.md, evaluation.csv and comparisons.csv.
        #[arg(long)]
        out: PathBuf,
        /// Directories that `logodex-train evaluate` wrote, and at most one that `logodex-data stats` wrote.
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
    },
    /// Check that a device computes what the CPU computes, and that runs on it resume and learn.
    Selfcheck(SelfcheckArgs),
    /// Time the training step on a device, and the same step in Python PyTorch beside it.
    Bench(BenchArgs),
}

fn parse_fold(name: &str) -> Result<Fold, String> {
    [Fold::Train, Fold::Val, Fold::Test]
        .into_iter()
        .find(|fold| fold.name() == name)
        .ok_or_else(|| "must be train, val or test".to_owned())
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// See the command; [`exit_code`] sorts them.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Fit {
                dataset,
                split,
                config,
                run,
                resume,
            } => train::fit(&dataset, &split, &config, &run, resume),
            Command::Embed {
                dataset,
                split,
                run,
                fold,
                out,
                checkpoint,
            } => embed::embed_command(&dataset, &split, &run, checkpoint, fold, &out),
            Command::Evaluate(args) => evaluate_command(&args),
            Command::Report { out, runs } => report_command(&out, &runs),
            Command::Selfcheck(args) => selfcheck(&args),
            Command::Bench(args) => bench(&args),
        }
    }
}

/// 2 for a slip in what was typed or configured, 5 for a corrupt dataset, 1 for anything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is = |cause: &(dyn std::error::Error + 'static)| {
        if cause.is::<UsageError>() || cause.is::<WeightsError>() {
            return Some(2);
        }
        cause.downcast_ref().map(|e| match e {
            DatasetError::NotFound(_) => 2,
            DatasetError::Corrupt { .. } => 5,
        })
    };
    error.chain().find_map(is).unwrap_or(1)
}
