//! `logodex`: parse, subscribe logs, run, print the error once, exit.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use logodex_program::output;
use logodex_program::progress::subscribe;
use logodex_recognizer::command::calibrate::{CalibrateArgs, calibrate_command};
use logodex_recognizer::command::database::{CopyArgs, IndexArgs, copy_command, index_command};
use logodex_recognizer::command::embed::{EmbedArgs, embed_command};
use logodex_recognizer::command::enrol::{EnrolArgs, enrol_command};
use logodex_recognizer::command::identify::{IdentifyArgs, identify_command};
use logodex_recognizer::command::list::{
    ListArgs, RemoveArgs, RenameArgs, list_command, remove_command, rename_command,
};
use logodex_recognizer::command::reembed::{ReembedArgs, reembed_command};
use logodex_recognizer::command::transfer::{
    ExportArgs, ImportArgs, export_command, import_command,
};
use logodex_recognizer::command::verify::{VerifyArgs, verify_command};
use logodex_recognizer::serve::command::{ServeArgs, serve_command};

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
    /// Say what pictures show: an enrolled brand, or unknown.
    #[command(
        after_help = "Examples:\n  logodex identify --gallery gallery photo.jpg shelf/*.png\n  logodex identify --gallery gallery --json --far 0.001 photos\n  logodex identify --gallery gallery --show sheet.html photos\n  logodex identify --gallery gallery --tiles scene.jpg\n  logodex identify --gallery gallery --detector detector.onnx --json scenes"
    )]
    Identify(IdentifyArgs),
    /// Say whether two pictures show one brand.
    #[command(after_help = "Example:\n  logodex verify --model model.onnx a.jpg b.jpg")]
    Verify(VerifyArgs),
    /// Find out how similar strangers come to this gallery, and from which similarity on a brand may be named.
    #[command(
        after_help = "Examples:\n  logodex calibrate --gallery gallery\n  logodex calibrate --gallery gallery strangers\n  logodex calibrate --gallery gallery --dataset data/logodet3k --split default\n  logodex calibrate --gallery gallery --tiles scenes"
    )]
    Calibrate(CalibrateArgs),
    /// Write embeddings to a file: of a dataset's rows for logodex-eval, or of pictures.
    #[command(
        after_help = "Examples:\n  logodex embed --model model.onnx --dataset data/logodet3k --split default --fold test --out test.safetensors\n  logodex embed --model model.onnx --out photos.npy photos"
    )]
    Embed(EmbedArgs),
    /// Enrol many brands at once: a fold of a dataset, or a Parquet file of another gallery.
    #[command(
        after_help = "Examples:\n  logodex import --gallery gallery --model model.onnx --dataset data/logodet3k --split default --fold test --per-brand 5\n  logodex import --gallery gallery --parquet other.parquet"
    )]
    Import(ImportArgs),
    /// Write a gallery to a Parquet file.
    #[command(after_help = "Example:\n  logodex export --gallery gallery --out gallery.parquet")]
    Export(ExportArgs),
    /// Embed a gallery's pictures again, with another model, from where they were taken.
    #[command(after_help = "Example:\n  logodex reembed --gallery gallery --model better.onnx")]
    Reembed(ReembedArgs),
    /// Serve a gallery over HTTP: a page, an API with its OpenAPI document, and counts for Prometheus.
    #[command(
        after_help = "Examples:\n  logodex serve --gallery gallery\n  logodex serve --gallery gallery --listen 0.0.0.0:8080 --token-file token\n  curl -F image=@logo.jpg -F box=40,60,240,160 http://127.0.0.1:8080/v1/identify\n\nEnds with 0 on SIGTERM or Ctrl-C, when what is being answered is answered."
    )]
    Serve(ServeArgs),
    /// Copy a gallery whole: from a directory to a database, or back.
    #[command(
        after_help = "Examples:\n  logodex copy --gallery gallery --to postgres://ann@db.example/logos\n  logodex copy --gallery postgres://ann@db.example/logos --to gallery\n\nThe password comes from the URL or from the environment variable PGPASSWORD."
    )]
    Copy(CopyArgs),
    /// Index a gallery in a database for approximate search, and find out how much that finds.
    #[command(
        after_help = "Examples:\n  logodex index --gallery postgres://ann@db.example/logos\n  logodex index --gallery postgres://ann@db.example/logos --recall 0.999 --m 32 --ef-construction 256"
    )]
    Index(IndexArgs),
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
            Self::Identify(args) => identify_command(&args),
            Self::Verify(args) => verify_command(&args),
            Self::Calibrate(args) => calibrate_command(&args),
            Self::Embed(args) => embed_command(&args),
            Self::Import(args) => import_command(&args),
            Self::Export(args) => export_command(&args),
            Self::Reembed(args) => reembed_command(&args),
            Self::Serve(args) => serve_command(args),
            Self::Copy(args) => copy_command(&args),
            Self::Index(args) => index_command(&args),
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
