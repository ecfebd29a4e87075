//! Where a run's data lie: as said, or where they lay when it was trained.

use std::path::{Path, PathBuf};

use anyhow::Result;
use logodex_dataset::{Dataset, Split};
use logodex_program::usage;

use crate::run::{self, Which};

/// Opens the dataset that a run was trained on, and its split.
///
/// # Errors
/// [`logodex_program::Failure::Usage`] when they are not found or are others than the run was trained on.
pub(super) fn open(
    run: &Path,
    which: Which,
    dataset: Option<&Path>,
    split: Option<&str>,
) -> Result<(Dataset, Split)> {
    let (_, checkpoint) = run::open(run, which)?;
    let state = checkpoint.state;
    let noted = run::noted_dataset(run)?;
    let said = "say where it lies now with --dataset (and which split with --split)";
    let (dir, name) = match (dataset, split, noted) {
        (Some(dir), Some(split), _) => (dir.to_owned(), split.to_owned()),
        (dir, split, Some(noted)) => (
            dir.map_or_else(|| PathBuf::from(noted.dataset), Path::to_owned),
            split.map_or(noted.split, str::to_owned),
        ),
        (_, _, None) => {
            return Err(usage(format!(
                "{}: the run does not say where its dataset lies; say so with --dataset and --split",
                run.display()
            )));
        }
    };
    if dataset.is_none() && !dir.is_dir() {
        return Err(usage(format!(
            "{}: the dataset that {} was trained on is not there any more; {said}",
            dir.display(),
            run.display()
        )));
    }
    let other = |what: &str, path: &Path| {
        usage(format!(
            "{}: is another {what} than {} was trained on; {said}",
            path.display(),
            run.display()
        ))
    };
    let dataset = Dataset::open(&dir)?;
    if dataset.manifest_blake3() != state.manifest_blake3 {
        return Err(other("dataset", &dir));
    }
    let split = dataset.split(&name)?;
    if split.blake3() != state.split_blake3 {
        return Err(other("split", &dir.join(format!("splits/{name}.csv"))));
    }
    Ok((dataset, split))
}
