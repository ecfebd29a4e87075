//! `logodex-train`: parse, subscribe logs, run, print the error once, exit.

use std::process::ExitCode;

use clap::Parser;
use logodex_program::progress::subscribe;
use logodex_trainer::{cli, torch};

fn main() -> ExitCode {
    // CUDA is looked up once, at the first query: its library has to be there before anything else happens.
    torch::load_cuda_backend();
    let cli = cli::Cli::parse();
    subscribe("info");
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = cli::exit_code(&error);
            let word = if code > 128 { "stopped" } else { "error" };
            eprintln!("{word}: {error:#}");
            ExitCode::from(code)
        }
    }
}
