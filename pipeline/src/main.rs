//! `logodex-data`: see `logodex-data --help`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use logodex_pipeline::cli::{Cli, run};
use logodex_program::failure::exit_code;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    subscribe();
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

/// Logs go to stderr: for people on a terminal, JSON lines otherwise. `RUST_LOG` chooses the level.
fn subscribe() {
    let filter = || EnvFilter::try_from_default_env();
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        // The bars speak for themselves.
        let filter = filter().unwrap_or_else(|_| EnvFilter::new("warn"));
        logs.with_env_filter(filter).without_time().init();
    } else {
        let filter = filter().unwrap_or_else(|_| EnvFilter::new("info"));
        logs.with_env_filter(filter).json().init();
    }
}
