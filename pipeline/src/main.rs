//! `logodex-data`: see `logodex-data --help`.

use std::process::ExitCode;

use logodex_pipeline::cli::{Cli, run};
use logodex_program::output::{self, print};
use logodex_program::progress::subscribe;

fn main() -> ExitCode {
    let work = |cli: Cli| {
        // On a terminal the bars speak for themselves.
        subscribe("warn");
        print(format_args!("{}\n", run(cli)?));
        Ok(())
    };
    output::run(work, logodex_program::exit_code)
}
