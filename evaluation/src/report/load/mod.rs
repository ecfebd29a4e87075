//! From directories to what the report needs of them, checked once: nothing later asks whether evaluations belong
//! together.

pub mod comparable;
pub mod inputs;
pub mod model;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use logodex_schemas::evaluation::EvaluationRow;

use crate::report::wording::prefix;
use comparable::{check_comparable, merge_floors};
use inputs::{Inputs, Stats};
use logodex_program::Failure;
use model::Model;
use read::{picture, read_model, read_stats, usage};

/// Reads the directories.
///
/// # Errors
/// [`Failure::Usage`]; see [`crate::report::report_command`].
pub fn load(runs: &[PathBuf]) -> Result<Inputs> {
    let mut models: Vec<Model> = Vec::new();
    let mut floors: Vec<EvaluationRow> = Vec::new();
    let mut stats: Option<Stats> = None;
    let mut pictures = BTreeMap::new();
    for dir in runs {
        let shown = dir.display();
        if dir.join("evaluation.json").is_file() {
            let (model, its_floors) = read_model(dir)?;
            for shown in model.evaluation.pictures() {
                pictures.insert(shown.row, picture(dir, &shown.picture)?);
            }
            if let Some(other) = models.iter().find(|other| other.name == model.name) {
                return usage(format!(
                    "{shown}: its model is named {:?}, and so is that of {}; a report needs names that differ (evaluate one of them again with --name)",
                    model.name, other.folder
                ));
            }
            if let Some(first) = models.first() {
                check_comparable(first, &model).map_err(|why| {
                    Failure::Usage(format!(
                        "{shown}: cannot be compared with {}: {why}",
                        first.folder
                    ))
                })?;
            }
            merge_floors(&mut floors, its_floors).map_err(|row| {
                Failure::Usage(format!(
                    "{shown}: its floor {} has another {}-shot {} than the other evaluations', so it was judged on other rows or by another version; evaluate all of them again",
                    row.model, row.shots, row.metric
                ))
            })?;
            models.push(model);
        } else if dir.join("stats.json").is_file() {
            if stats.is_some() {
                return usage(format!("{shown}: a second dataset description; give one"));
            }
            stats = Some(read_stats(dir)?);
        } else {
            return usage(format!("{shown}: {}", why_unusable(dir)));
        }
    }
    let Some(first) = models.first() else {
        return usage(
            "nothing to report: give at least one directory that `logodex-train evaluate` wrote"
                .to_owned(),
        );
    };
    if let Some(stats) = &stats
        && stats.stats.manifest_blake3 != first.evaluation.manifest_blake3
    {
        return usage(format!(
            "the dataset description is of another dataset (manifest {}) than the evaluations (manifest {}); run `logodex-data stats` on theirs",
            prefix(&stats.stats.manifest_blake3),
            prefix(&first.evaluation.manifest_blake3)
        ));
    }
    Ok(Inputs {
        models,
        floors,
        stats,
        pictures,
    })
}

/// Why a directory is neither an evaluation nor a dataset description, and what to do.
fn why_unusable(dir: &Path) -> &'static str {
    if !dir.exists() {
        "does not exist"
    } else if !dir.is_dir() {
        "is no directory"
    } else if dir.join("config.toml").is_file() {
        "a run that was not evaluated (no evaluation.json); run `logodex-train evaluate` on it first"
    } else if dir.join("manifest.json").is_file() {
        "a dataset (it has manifest.json); give the folder that `logodex-data stats` wrote for it"
    } else {
        "holds neither evaluation.json (from `logodex-train evaluate`) nor stats.json (from `logodex-data stats`)"
    }
}
