//! `report`: evaluated directories, gathered into one page.

use std::path::PathBuf;

use anyhow::Result;

use crate::report::report_command;

/// What is typed after `report`.
#[derive(Debug, Clone, clap::Args)]
pub struct ReportArgs {
    /// Directory for report.html, report.md, tables.tex, figures/ (SVG and PNG), evaluation.csv and comparisons.csv.
    #[arg(long)]
    pub out: PathBuf,
    /// Directories that `evaluate` wrote, and at most one that `logodex-data stats` wrote.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}

impl ReportArgs {
    /// Writes the report and prints its table.
    ///
    /// # Errors
    /// As [`report_command`].
    pub fn run(&self) -> Result<()> {
        report_command(&self.out, &self.runs)
    }
}
