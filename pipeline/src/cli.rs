//! Parses what is typed, and hands it to the room that does it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use logodex_program::threads;

use crate::audit::serve::address;
use crate::audit::{self, AuditOptions};
use crate::build::{self, BuildOptions};
use crate::read::export::{self, ExportOptions, Form, Link};
use crate::read::{check, stats, why};
use crate::split::{self, SplitOptions};
use crate::{config, plan};

/// Turns a raw LogoDet-3K tree into a dataset that can be trusted.
#[derive(Debug, Parser)]
#[command(name = "logodex-data", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 more rejects than allowed, \
4 the plan differs from the reviewed one, 5 corrupt dataset or one of another format version.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which folders are one brand and which images are copies, as a file to read
    #[command(after_help = "Example:\n  logodex-data plan --raw /data/LogoDet-3K --out plan.json")]
    Plan {
        /// The raw tree: the folder that holds LogoDet-3K, or LogoDet-3K itself; never written
        #[arg(long, value_name = "DIR")]
        raw: PathBuf,
        /// The plan to write
        #[arg(long, value_name = "PLAN.json")]
        out: PathBuf,
        /// A person's word, which wins over every rule
        #[arg(long, value_name = "FILE.toml")]
        overrides: Option<PathBuf>,
        /// The configuration of the build, for its [consolidate] table and min_object_px
        #[arg(long, value_name = "FILE.toml")]
        config: Option<PathBuf>,
    },
    /// Show what the rules decide as a page to look at and to answer on: audit.html, audit.json, audit.md, plan.json
    #[command(
        after_help = "Examples:\n  logodex-data audit --raw /data/LogoDet-3K --out runs/audit --config pipeline/configs/logodet3k.toml\n  \
logodex-data audit --raw /data/LogoDet-3K --out runs/audit --serve\n  \
logodex-data audit --raw /data/LogoDet-3K --out runs/audit --dataset data/logodet3k --split default"
    )]
    Audit {
        /// The raw tree: the folder that holds LogoDet-3K, or LogoDet-3K itself; never written
        #[arg(long, value_name = "DIR")]
        raw: PathBuf,
        /// The directory to write; an earlier plan.json of another content is kept under another name
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The configuration of the build, for its [consolidate] table
        #[arg(long, value_name = "FILE.toml")]
        config: Option<PathBuf>,
        /// The answers given so far, as the page hands them back; with --serve, OUT/overrides.toml if it is there
        #[arg(long, value_name = "FILE.toml")]
        overrides: Option<PathBuf>,
        /// A model from `logodex-train export`, asked what looks alike: doubtful labels, brands that look like one, pictures
        /// like no other; every row goes to seen.csv
        #[arg(long, value_name = "MODEL.onnx")]
        model: Option<PathBuf>,
        /// Serve the page to this machine until Ctrl-C: it then writes the answers and shows pictures in full.
        /// A loopback address, 127.0.0.1:8377 if none is given; :0 takes a free port
        #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = address::DEFAULT, value_parser = address::parse)]
        serve: Option<SocketAddr>,
        /// A dataset built from the tree: with --split, says which look-alikes lie in several folds
        #[arg(long, value_name = "DATASET", requires = "split")]
        dataset: Option<PathBuf>,
        /// The split of that dataset
        #[arg(long, value_name = "NAME", requires = "dataset")]
        split: Option<String>,
    },
    /// Make the dataset directory: shards, indexed annotations, lookups, catalog, manifest
    #[command(
        after_help = "Example:\n  logodex-data build --raw /data/LogoDet-3K --out data/logodet3k \
--config pipeline/configs/logodet3k.toml"
    )]
    Build {
        /// The raw tree: the folder that holds LogoDet-3K, or LogoDet-3K itself; never written
        #[arg(long, value_name = "DIR")]
        raw: PathBuf,
        /// The dataset to make: a directory that is absent, empty, or left by a build that was stopped
        #[arg(long, value_name = "DATASET")]
        out: PathBuf,
        /// A reviewed plan: the build stops if today's plan is another
        #[arg(long, value_name = "PLAN.json")]
        plan: Option<PathBuf>,
        /// A person's word, which wins over every rule; with --plan, the build stops if the plan was reviewed with another
        #[arg(long, value_name = "FILE.toml")]
        overrides: Option<PathBuf>,
        /// Every key may be left out
        #[arg(long, value_name = "FILE.toml")]
        config: Option<PathBuf>,
        /// Threads; 0 is one per core, and far more than there are cores are not used. The dataset does not depend on it
        #[arg(long, value_name = "N", default_value_t = 0)]
        threads: usize,
        /// Say what would be built, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Draw a brand-wise split, stratified by category: splits/NAME.csv and splits/NAME.json
    #[command(
        after_help = "Example:\n  logodex-data split --dataset data/logodet3k --name default --seed 42"
    )]
    Split {
        /// A dataset
        #[arg(long, value_name = "DATASET")]
        dataset: PathBuf,
        /// Letters, digits, _ and -
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Another seed, another split
        #[arg(long, value_name = "N")]
        seed: u64,
        /// Fraction of all brands for test
        #[arg(long, value_name = "F", default_value_t = 0.1)]
        test: f64,
        /// Fraction of the remaining brands for validation
        #[arg(long, value_name = "F", default_value_t = 0.2)]
        val: f64,
        /// Draw it even if images of two folds are the same or look the same; their number is recorded
        #[arg(long)]
        allow_duplicates: bool,
    },
    /// Tell one image's story from its raw path to its rows, or why it has none; or a brand's
    #[command(
        after_help = "Examples:\n  logodex-data why data/logodet3k Clothes/76/1.jpg\n  logodex-data why data/logodet3k \"row 12\"\n  \
logodex-data why data/logodet3k alpinestars-2"
    )]
    Why {
        /// A dataset
        #[arg(value_name = "DATASET")]
        dataset: PathBuf,
        /// A raw path, an annotation of the dataset, `row N`, a brand or a former folder
        #[arg(value_name = "IMAGE|BRAND")]
        what: String,
    },
    /// Prove a dataset whole: every byte, every sample, every table
    #[command(after_help = "Example:\n  logodex-data check data/logodet3k")]
    Check {
        /// A dataset
        #[arg(value_name = "DATASET")]
        dataset: PathBuf,
    },
    /// Describe a dataset: stats.json, the sample sheet and the long tail (the paper's Figures 1 and 2)
    #[command(after_help = "Example:\n  logodex-data stats data/logodet3k --out runs/dataset")]
    Stats {
        /// A dataset
        #[arg(value_name = "DATASET")]
        dataset: PathBuf,
        /// The directory to write; `logodex-train report` takes it
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Write a dataset in a form that other tools read: the paper's folders, WebDataset, COCO
    #[command(
        after_help = "Examples:\n  logodex-data export data/logodet3k --to folders --split default \
--raw /data/LogoDet-3K --out exports/folders\n  logodex-data export data/logodet3k --to webdataset --split default \
--out exports/webdataset\n  logodex-data export data/logodet3k --to coco --raw /data/LogoDet-3K --out exports/coco"
    )]
    Export {
        /// A dataset
        #[arg(value_name = "DATASET")]
        dataset: PathBuf,
        /// The form
        #[arg(long, value_name = "FORM")]
        to: Form,
        /// The directory to make: absent or empty
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Tell the folds of this split apart; folders need one
        #[arg(long, value_name = "NAME")]
        split: Option<String>,
        /// The raw tree that the dataset was built from, for folders and coco; never written
        #[arg(long, value_name = "DIR")]
        raw: Option<PathBuf>,
        /// How raw images get there
        #[arg(long, value_name = "HOW", default_value = "copy")]
        link: Link,
        /// Seed of the order in which a WebDataset holds its rows
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// Say what would be exported, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does what was asked and returns what to print.
///
/// # Errors
/// Whatever went wrong; [`logodex_program::failure::exit_code`] knows the code.
pub fn run(cli: Cli) -> anyhow::Result<String> {
    match cli.command {
        Command::Plan {
            raw,
            out,
            overrides,
            config,
        } => {
            let config = config::build_config(config.as_deref())?;
            let overrides = config::overrides(overrides.as_deref())?;
            plan::plan(&raw, &out, &config, &overrides)
        }
        Command::Audit {
            raw,
            out,
            config,
            overrides,
            model,
            dataset,
            split,
            serve,
        } => {
            // A page that writes the answers goes on from those that it wrote before.
            let written = || {
                serve
                    .map(|_| out.join(audit::ANSWERS))
                    .filter(|f| f.exists())
            };
            let overrides = overrides.or_else(written);
            audit::audit(&AuditOptions {
                split: dataset.zip(split),
                config: (config::build_config(config.as_deref())?, config),
                overrides: (config::overrides(overrides.as_deref())?, overrides),
                raw,
                out,
                model,
                serve,
            })
        }
        Command::Build {
            raw,
            out,
            plan,
            overrides,
            config,
            threads,
            dry_run,
        } => {
            let options = BuildOptions {
                config: config::build_config(config.as_deref())?,
                plan: plan.as_deref().map(config::reviewed_plan).transpose()?,
                overrides: overrides
                    .as_deref()
                    .map(|path| config::overrides(Some(path)))
                    .transpose()?,
                raw,
                out,
                dry_run,
            };
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads::bounded(threads))
                .build()?;
            pool.install(|| build::build(&options))
        }
        Command::Split {
            dataset,
            name,
            seed,
            test,
            val,
            allow_duplicates,
        } => split::split(
            &dataset,
            &SplitOptions {
                name,
                seed,
                test,
                val,
                allow_duplicates,
            },
        ),
        Command::Why { dataset, what } => why::why(&dataset, &what),
        Command::Check { dataset } => check::check(&dataset),
        Command::Stats { dataset, out } => stats::stats(&dataset, &out),
        Command::Export {
            dataset,
            to,
            out,
            split,
            raw,
            link,
            seed,
            dry_run,
        } => export::export(&ExportOptions {
            dataset,
            to,
            out,
            split,
            raw,
            link,
            seed,
            dry_run,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
