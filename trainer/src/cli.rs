//! The command line of `logodex-train`, and which error means which exit code.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use logodex_evaluation::command::options::parse_region;
use logodex_evaluation::command::report::ReportArgs;
use logodex_program::output::print;
use logodex_schemas::dataset::Region;
use logodex_schemas::split::Fold;

use crate::config::explain;
use crate::data::preview::{PreviewArgs, preview_command};
use crate::device::bench::{BenchArgs, bench};
use crate::device::check::{SelfcheckArgs, selfcheck};
use crate::evaluate::{RunOrFiles, evaluate_command};
use crate::experiments::learning_per_image::{LearningPerImageArgs, learning_per_image_command};
use crate::experiments::sweep::{SweepArgs, sweep_command};
use crate::export::{ExportArgs, export_command};
use crate::model::weights::WeightsError;
use crate::run::Which;
use crate::run::interrupt::Interrupted;
use crate::train::{self, Existing, embed};

/// Trains networks that tell logos of brands they have never seen, and judges them.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration (also a path that does not exist), 5 corrupt dataset or
/// another format version, 130 and 143 training or a sweep ended by Ctrl-C or SIGTERM with a checkpoint
/// written.
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
        /// The experiment; `logodex-train config --explain` tells every key.
        #[arg(long, value_name = "FILE.toml")]
        config: PathBuf,
        /// Directory of the run; must not hold one yet unless it is to be continued.
        #[arg(long)]
        run: PathBuf,
        /// Continue the run from its newest checkpoint, bit for bit as if it had never stopped; with a larger
        /// schedule.epochs a finished one goes on.
        #[arg(long)]
        resume: bool,
        /// Continue the run where there is one, else start it, and say which.
        #[arg(long, conflicts_with = "resume")]
        resume_or_start: bool,
    },
    /// Draw a sheet of what the network will see: batches as they are sampled, each picture stored and augmented.
    Preview(PreviewArgs),
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
        /// What the rows show: image, object or both [default: what the run was trained on].
        #[arg(long, value_parser = parse_region)]
        region: Option<Region>,
        /// File to write.
        #[arg(long, value_name = "FILE.safetensors")]
        out: PathBuf,
        /// Which of the run's checkpoints: last, best or epoch-NNN.
        #[arg(long, default_value = "last")]
        checkpoint: Which,
    },
    /// Write a run's network as one ONNX file that needs neither libtorch nor Python, with all that is needed to use it.
    Export(ExportArgs),
    /// What can be configured, and what a configuration comes to.
    #[command(
        after_help = "Examples:\n  logodex-train config --explain              every key: meaning, type, unit, default, source\n  logodex-train config --explain loss.margin  one key, or one table\n  logodex-train config --check trainer/configs/triplet.toml"
    )]
    Config {
        /// Explain every key, or the key or table of this name.
        #[arg(long, value_name = "KEY", num_args = 0..=1, required_unless_present = "check")]
        explain: Option<Option<String>>,
        /// Judge a configuration and print it with every default filled in.
        #[arg(long, value_name = "FILE.toml", conflicts_with = "explain")]
        check: Option<PathBuf>,
    },
    /// Train several configurations, or the combinations of a grid, one after another, and compare them.
    Sweep(SweepArgs),
    /// Compare runs by how much they learn per image: mAP on unseen brands at every checkpoint that was kept.
    Curve(LearningPerImageArgs),
    /// Judge a run, or embeddings of any tool, on brands never trained on: the paper's few-shot test.
    Evaluate(RunOrFiles),
    /// Gather evaluated runs into one offline page, with Markdown and CSV beside it.
    #[command(
        after_help = "Example:\n  logodex-train report --out runs/report runs/dataset runs/contrastive runs/baseline_features"
    )]
    Report(ReportArgs),
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
                resume_or_start,
            } => {
                let existing = match (resume, resume_or_start) {
                    (true, _) => Existing::Resume,
                    (_, true) => Existing::ResumeOrStart,
                    _ => Existing::Refuse,
                };
                train::fit(&dataset, &split, &config, &run, existing)
            }
            Command::Preview(args) => preview_command(&args),
            Command::Embed {
                dataset,
                split,
                run,
                fold,
                region,
                out,
                checkpoint,
            } => embed::embed_command(&dataset, &split, &run, checkpoint, fold, region, &out),
            Command::Export(args) => export_command(&args),
            Command::Config { explain, check } => {
                let text = match check {
                    Some(path) => explain::check(&path)?,
                    None => explain::explain(explain.flatten().as_deref())?,
                };
                print(text);
                Ok(())
            }
            Command::Sweep(args) => sweep_command(&args),
            Command::Curve(args) => learning_per_image_command(&args),
            Command::Evaluate(args) => evaluate_command(&args),
            Command::Report(args) => args.run(),
            Command::Selfcheck(args) => selfcheck(&args),
            Command::Bench(args) => bench(&args),
        }
    }
}

/// 2 for a slip in what was typed or configured, 5 for a corrupt dataset, 128 + signal for an interrupted training, 1
/// for anything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is = |cause: &(dyn std::error::Error + 'static)| {
        if cause.is::<WeightsError>() {
            return Some(2);
        }
        let Interrupted { signal, .. } = cause.downcast_ref()?;
        u8::try_from(128 + signal).ok()
    };
    let own = error.chain().find_map(is);
    own.unwrap_or_else(|| logodex_program::exit_code(error))
}
