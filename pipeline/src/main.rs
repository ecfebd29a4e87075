//! `logodex-data`: see `logodex-data --help`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use logodex_pipeline::cli::{Cli, run};
use logodex_program::failure::exit_code;
use logodex_program::progress::subscribe;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // On a terminal the bars speak for themselves.
    subscribe("warn");
    match run(cli) {
        Ok(text) => {
            // A closed pipe (`| head`) is no failure.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}
