//! `logodex-eval`: parse, subscribe logs, run, print the error once, exit.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use logodex_evaluation::command::evaluate::{EvaluateArgs, evaluate_files};
use logodex_evaluation::command::floors::floors_command;
use logodex_evaluation::command::options::Options;
use logodex_evaluation::command::report::ReportArgs;
use logodex_program::output;
use logodex_program::progress::subscribe;

/// Judges embeddings of logos on brands that no model was trained on, whatever tool they come from.
///
/// Exit codes: 0 done, 1 failed, 2 usage (also a path that does not exist, or embeddings that do not fit the dataset),
/// 5 corrupt dataset or another format version.
#[derive(Debug, Parser)]
#[command(name = "logodex-eval", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge embedding files of any tool on brands never trained on: the paper's few-shot test, and others.
    #[command(
        mut_arg("embeddings", |arg| arg.required(true)),
        mut_arg("name", |arg| arg.help("The model's name in the results [default: the first file's stem]")),
        mut_arg("region", |arg| arg.help(REGION)),
        after_help = "Examples:\n  logodex-eval evaluate --dataset data/logodet3k --split paper \\\n    --embeddings test.safetensors --embeddings val.safetensors --name mine --out runs/mine\n  logodex-eval evaluate --dataset data/logodet3k --split paper \\\n    --embeddings clip.npy --rows rows.npy --name clip --out runs/clip"
    )]
    Evaluate(EvaluateArgs),
    /// Judge the floors alone: random embeddings, colours alone, and rejecting everything. What any model should beat.
    #[command(
        mut_arg("region", |arg| arg.help(REGION)),
        after_help = "Example:\n  logodex-eval floors --dataset data/logodet3k --split paper --out runs/floors"
    )]
    Floors(Options),
    /// Gather evaluated models into one offline page, with Markdown and CSV beside it.
    #[command(
        after_help = "Example:\n  logodex-eval report --out runs/report runs/dataset runs/mine runs/clip"
    )]
    Report(ReportArgs),
}

const REGION: &str = "What the rows show: image, object or both, each judged by itself [default: whatever the dataset holds, whole images first]";

fn main() -> ExitCode {
    let work = |cli: Cli| {
        subscribe("info");
        cli.command.run()
    };
    output::run(work, logodex_program::exit_code)
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Self::Evaluate(args) => evaluate_files(&args),
            Self::Floors(options) => floors_command(&options),
            Self::Report(args) => args.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_line_that_the_help_shows_is_one() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .unwrap()
                .to_string()
                .replace("\\\n", "");
            let lines = help
                .lines()
                .filter(|line| line.starts_with("  logodex-eval"));
            assert!(lines.clone().count() > 0);
            for line in lines {
                Cli::try_parse_from(line.split_whitespace()).unwrap();
            }
        }
    }

    #[test]
    fn embeddings_are_asked_for() {
        let line = [
            "logodex-eval",
            "evaluate",
            "--dataset",
            "d",
            "--split",
            "s",
            "--out",
            "o",
        ];
        let error = Cli::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("--embeddings"), "{error}");
    }
}
