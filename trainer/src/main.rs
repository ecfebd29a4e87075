//! `logodex-train`: parse, subscribe logs, run, print the error once, exit.

use std::process::ExitCode;

use logodex_program::output;
use logodex_program::progress::subscribe;
use logodex_trainer::{cli, torch};

fn main() -> ExitCode {
    // CUDA is looked up once, at the first query: its library has to be there before anything else happens.
    torch::load_cuda_backend();
    let work = |cli: cli::Cli| {
        subscribe("info");
        cli.run()
    };
    output::run(work, cli::exit_code)
}
