//! `logodex`: parse, subscribe logs, run, print the error once, exit.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use logodex_program::output;
use logodex_program::progress::subscribe;
use logodex_recognizer::command::enrol::{EnrolArgs, enrol_command};
use logodex_recognizer::command::list::{
    ListArgs, RemoveArgs, RenameArgs, list_command, remove_command, rename_command,
};

/// Names logos from a few pictures of each brand, or says that it does not know them. Needs an exported model
/// (`logodex-train export`) and ONNX Runtime (`make setup`), neither libtorch nor Python.
///
/// Exit codes: 0 done, 1 failed, or some pictures could not be used, 2 usage (also a gallery or model that is not there, or does
/// not fit the other), 5 damaged gallery or dataset.
#[derive(Debug, Parser)]
#[command(name = "logodex", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol pictures of a brand; the first begins the gallery. Says how the brand stands among the others then.
    #[command(
        after_help = "Examples:\n  logodex enrol --gallery gallery --model model.onnx --brand Nike nike/*.jpg\n  logodex enrol --gallery gallery --list brands.csv"
    )]
    Enrol(EnrolArgs),
    /// List the brands that are enrolled, or the pictures of one.
    #[command(
        after_help = "Examples:\n  logodex list --gallery gallery\n  logodex list --gallery gallery --brand Nike --json"
    )]
    List(ListArgs),
    /// Give a brand another name, or make two brands one.
    #[command(
        after_help = "Examples:\n  logodex rename --gallery gallery nike Nike\n  logodex rename --gallery gallery Nike-1 Nike --merge"
    )]
    Rename(RenameArgs),
    /// Remove a brand, or one of its pictures.
    #[command(
        after_help = "Examples:\n  logodex remove --gallery gallery Nike\n  logodex remove --gallery gallery Nike --picture 1f0c3a"
    )]
    Remove(RemoveArgs),
}

fn main() -> ExitCode {
    let work = |cli: Cli| {
        subscribe("warn");
        cli.command.run()
    };
    output::run(work, logodex_program::exit_code)
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Self::Enrol(args) => enrol_command(args),
            Self::List(args) => list_command(&args),
            Self::Rename(args) => rename_command(&args),
            Self::Remove(args) => remove_command(&args),
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
            let help = command.get_after_help().unwrap().to_string();
            let help = help.replace("\\\n", "");
            let lines = help.lines().filter(|line| line.starts_with("  logodex"));
            assert!(lines.clone().count() > 0);
            for line in lines {
                Cli::try_parse_from(line.split_whitespace()).unwrap();
            }
        }
    }
}
