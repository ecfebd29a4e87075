//! What a run's weights learnt from: the history of the weights that it begins with, and its own training.

use std::path::Path;

use anyhow::Result;
use logodex_dataset::{Dataset, Split};
use logodex_evaluation::history;
use logodex_program::Failure;
use logodex_schemas::dataset::BrandRow;
use logodex_schemas::run::history::History;
use logodex_schemas::split::Fold;
use logodex_schemas::train::TrainConfig;

use crate::data::sampler::FoldRows;
use crate::run::checkpoint::hash_file;

/// The history of the weights that a new run begins with.
///
/// # Errors
/// [`Failure::Usage`] where they were trained on brands of the split's validation or test fold, unless the configuration
/// allows that; a history that cannot be read; a damaged dataset.
pub(super) fn of_beginning(
    config: &TrainConfig,
    dataset: &Dataset,
    split: &Split,
) -> Result<History> {
    // A file that is missing is told by the network that is to be built from it.
    let Some(path) = config.model.weights.as_ref().map(Path::new) else {
        return Ok(History::untrained());
    };
    if !path.is_file() {
        return Ok(History::untrained());
    }
    let own = history::read(path).map_err(|e| Failure::Usage(format!("{e:#}")))?;
    let Some(history) = own else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("{name} (BLAKE3 {:.12})", hash_file(path)?);
        tracing::info!(
            "{}: its history is unknown, so whether it has seen brands of the split cannot be told",
            path.display()
        );
        return Ok(History::unknown(&what));
    };
    for what in &history.unknown {
        tracing::info!(
            "{}: {what} went into it, of unknown history",
            path.display()
        );
    }
    let judged: Vec<&BrandRow> = [Fold::Val, Fold::Test]
        .into_iter()
        .flat_map(|fold| dataset.fold(split, fold))
        .collect();
    let seen = history::seen(&history, dataset, &judged)?;
    if seen.is_empty() {
        return Ok(history);
    }
    let names: Vec<&str> = seen.iter().map(|brand| brand.brand.as_str()).collect();
    let told = format!(
        "{}: was trained on {} of the brands that split {:?} validates and tests on ({})",
        path.display(),
        seen.len(),
        split.info.name,
        names.join(", ")
    );
    match config.model.allow_seen_brands {
        true => tracing::warn!("{told}; evaluations and reports will name them"),
        false => {
            return Err(Failure::Usage(format!(
                "{told}: what the run would be judged on is not unseen; begin with other weights or draw a split that trains on those brands, or set model.allow_seen_brands = true, and evaluations and reports will name them"
            ))
            .into());
        }
    }
    Ok(history)
}

/// Adds the run's own training, where there is one, on the brands of `train`.
///
/// # Errors
/// A damaged dataset.
pub(super) fn add_own(
    history: &mut History,
    config: &TrainConfig,
    dataset: &Dataset,
    split: &Split,
    train: &FoldRows,
) -> Result<()> {
    if config.schedule.epochs == 0 {
        return Ok(());
    }
    let brands = train.brands.iter();
    let brands: Vec<&BrandRow> = brands
        .map(|brand| &dataset.brands()[brand.brand as usize])
        .collect();
    history::add_training(history, dataset, split, &brands)
}
