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

use super::published::published;
use crate::run::checkpoint::hash_file;
use logodex_sampling::FoldRows;

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
        tracing::info!(
            "weights: none, so the {} starts from random numbers (model.weights is not set)",
            config.model.arch.name()
        );
        return Ok(History::untrained());
    };
    if !path.is_file() {
        return Ok(History::untrained());
    }
    let own = history::read(path).map_err(|e| Failure::Usage(format!("{e:#}")))?;
    let Some(history) = own else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let blake3 = hash_file(path)?;
        let published = published(&blake3);
        tracing::info!(
            "weights: {}, {}; its history is unknown, so whether it has seen brands of the split cannot be told",
            path.display(),
            published.unwrap_or("a file of unknown origin")
        );
        let published = published.map_or_else(String::new, |what| format!(", {what}"));
        let what = format!("{name} (BLAKE3 {blake3:.12}){published}");
        return Ok(History::unknown(&what));
    };
    tracing::info!("weights: {}, {}", path.display(), learnt(&history));
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

/// What Logodex trained weights on, in a few words.
fn learnt(history: &History) -> String {
    match history.trainings.as_slice() {
        [] => "written by Logodex and not trained by it".to_owned(),
        [all @ .., last] => {
            let before = match all.len() {
                0 => String::new(),
                1 => " after another training".to_owned(),
                n => format!(" after {n} other trainings"),
            };
            format!(
                "trained by Logodex on {} brands of split {:?} of dataset {:.12}{before}",
                last.brands, last.split, last.manifest_blake3
            )
        }
    }
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

#[cfg(test)]
mod tests {
    use logodex_schemas::run::history::Training;

    use super::*;

    #[test]
    fn what_weights_learnt_is_told_in_a_few_words() {
        let training = |split: &str, brands| Training {
            manifest_blake3: "0123456789abcdef".to_owned(),
            split: split.to_owned(),
            split_blake3: String::new(),
            brands,
        };
        let mut history = History::untrained();
        assert_eq!(learnt(&history), "written by Logodex and not trained by it");
        history.trainings.push(training("first", 7));
        assert_eq!(
            learnt(&history),
            "trained by Logodex on 7 brands of split \"first\" of dataset 0123456789ab"
        );
        history.trainings.push(training("second", 9));
        assert_eq!(
            learnt(&history),
            "trained by Logodex on 9 brands of split \"second\" of dataset 0123456789ab after another training"
        );
    }
}
