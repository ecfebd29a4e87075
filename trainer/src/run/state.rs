//! Keeps where a run stands, and tells what follows from that alone: whether it may continue, which epoch is its best,
//! and when it is over. A resumed run decides as the run left alone.

use std::path::Path;

use logodex_dataset::{Dataset, Split};
use logodex_program::Failure;
use logodex_schemas::run::{RunState, run_header};
use logodex_schemas::train::{BestBy, TrainConfig};

use crate::config::identity::with_epochs;

/// The state of a run that has not begun: what it is a run of.
pub fn beginning(config_bytes: &[u8], dataset: &Dataset, split: &Split) -> RunState {
    let config_blake3 = config_hash(config_bytes);
    unbegun(&config_blake3, dataset.manifest_blake3(), split.blake3())
}

/// Of all but the number of epochs, for a run may be extended.
fn config_hash(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).ok();
    let without = text.and_then(|text| with_epochs(text, 0));
    let hash = blake3::hash(without.as_ref().map_or(bytes, String::as_bytes));
    hash.to_hex().to_string()
}

fn unbegun(config_blake3: &str, manifest_blake3: &str, split_blake3: &str) -> RunState {
    RunState {
        header: run_header(),
        epochs_done: 0,
        epoch_batches: 0,
        epoch_loss_sum: 0.0,
        epoch_samples: 0,
        steps_done: 0,
        best_by: BestBy::default(),
        best_epoch: None,
        best_value: None,
        risen_epoch: None,
        risen_value: None,
        config_blake3: config_blake3.to_owned(),
        manifest_blake3: manifest_blake3.to_owned(),
        split_blake3: split_blake3.to_owned(),
        threads: None,
        model_blake3: String::new(),
        optimizer_blake3: String::new(),
        seal: String::new(),
    }
}

/// The state after an epoch with this value of what it is judged by: the first epoch with the highest is the best.
pub fn finish_epoch(state: &mut RunState, config: &TrainConfig, value: Option<f64>) {
    let epoch = state.epochs_done;
    if value.is_some_and(|v| state.best_value.is_none_or(|best| v > best)) {
        (state.best_epoch, state.best_value) = (Some(epoch), value);
    }
    let delta = config.checkpoint.min_delta;
    if value.is_some_and(|v| state.risen_value.is_none_or(|risen| v > risen + delta)) {
        (state.risen_epoch, state.risen_value) = (Some(epoch), value);
    }
    state.epochs_done = epoch + 1;
    (
        state.epoch_batches,
        state.epoch_loss_sum,
        state.epoch_samples,
    ) = (0, 0.0, 0);
}

/// Why a run has nothing left to do, if so; it depends on the state alone, so that a resumed run ends where the run
/// left alone does.
pub fn ended(state: &RunState, config: &TrainConfig) -> Option<String> {
    let patience = config.checkpoint.patience_epochs;
    if state.epochs_done >= config.schedule.epochs {
        return Some(format!("all {} epochs are done", state.epochs_done));
    }
    let risen = state.risen_epoch.filter(|_| patience > 0)?;
    (state.epochs_done > risen + patience).then(|| {
        format!(
            "stopped early after {} epochs: validation {} has not risen for {patience} epochs (checkpoint.patience_epochs)",
            state.epochs_done,
            state.best_by.name()
        )
    })
}

/// A run continues only with what it began with.
///
/// # Errors
/// [`Failure::Usage`] naming what is another.
pub fn check_identity(
    saved: &RunState,
    now: &RunState,
    config_bytes: &[u8],
    run: &Path,
) -> Result<(), Failure> {
    // Runs of before epochs could be added hold the hash of the whole file.
    let whole = blake3::hash(config_bytes).to_hex();
    let changed = if ![now.config_blake3.as_str(), &whole].contains(&saved.config_blake3.as_str()) {
        "configuration"
    } else if saved.manifest_blake3 != now.manifest_blake3 {
        "dataset"
    } else if saved.split_blake3 != now.split_blake3 {
        "split"
    } else {
        return Ok(());
    };
    Err(Failure::Usage(format!(
        "{}: this run began with another {changed}; a run continues only with the same one, so give that one or start another run",
        run.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state after epochs with these values under `patience_epochs = 2` and this `min_delta`, and the epochs it took.
    fn run(min_delta: f64, values: &[f64]) -> RunState {
        let text = format!(
            "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[loss]\nkind = \"triplet\"\nmargin = 1.0\n[schedule]\nepochs = 8\n[checkpoint]\npatience_epochs = 2\nmin_delta = {min_delta:?}\n"
        );
        let config = crate::config::parse(text.as_bytes()).expect("a configuration");
        let mut state = unbegun("", "", "");
        for value in values {
            if ended(&state, &config).is_some() {
                break;
            }
            state.epoch_batches = 5;
            finish_epoch(&mut state, &config, Some(*value));
            assert_eq!(state.epoch_batches, 0);
        }
        state
    }

    #[test]
    fn the_first_of_equal_epochs_is_best_and_patience_counts_from_the_last_rise() {
        let state = run(0.0, &[0.5, 0.7, 0.7, 0.6, 0.9]);
        assert_eq!((state.epochs_done, state.best_epoch), (4, Some(1)));
        let state = run(0.0, &[0.5, 0.7, 0.6, 0.71, 0.6, 0.72, 0.6, 0.6]);
        assert_eq!((state.epochs_done, state.best_epoch), (8, Some(5)));
    }

    #[test]
    fn a_run_of_before_there_was_a_choice_goes_on_by_f1() {
        let mut old = serde_json::to_value(unbegun("", "", "")).expect("JSON");
        let fields = old.as_object_mut().expect("fields");
        for gone in ["best_by", "best_value", "risen_value"] {
            assert!(fields.remove(gone).is_some(), "{gone}");
        }
        fields.insert("best_f1".to_owned(), 0.75.into());
        fields.insert("risen_f1".to_owned(), 0.5.into());
        let state: RunState = serde_json::from_value(old).expect("a state");
        assert_eq!(
            (state.best_by, state.best_value, state.risen_value),
            (BestBy::F1, Some(0.75), Some(0.5))
        );
    }

    #[test]
    fn a_rise_below_the_smallest_that_counts_is_best_but_buys_no_time() {
        let state = run(0.1, &[0.5, 0.55, 0.59, 0.9]);
        assert_eq!(
            (state.epochs_done, state.best_epoch, state.risen_epoch),
            (3, Some(2), Some(0))
        );
        // Small rises add up: they are measured from the last that counted.
        let state = run(0.1, &[0.5, 0.55, 0.61, 0.6, 0.6, 0.9]);
        assert_eq!((state.epochs_done, state.risen_epoch), (5, Some(2)));
    }
}
