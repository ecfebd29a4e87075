//! `logodex-train fit`: judges what was asked for, prepares or resumes the run, and trains epoch after epoch.

use std::path::Path;

use anyhow::Result;
use logodex_dataset::{Dataset, Tables};
use logodex_program::Failure;
use logodex_program::output::print;
use logodex_program::progress::ImageProgress;
use logodex_schemas::train::{BestBy, Residency, SamplerKind, TrainConfig};

use super::cached_features::{CachedFeatures, levels};
use super::epoch::Training;
use super::history;
use super::learner::Learner;
use super::validate::ValidationSet;
use crate::config;
use crate::data::batch::{BatchPlan, Samples};
use crate::data::loader::{Resident, Source, check_residency};
use crate::model::EmbeddingNet;
use crate::monitor::journal::Journal;
use crate::optim::schedule::steps_per_epoch;
use crate::run::checkpoint::{Contents, folder_name, publish};
use crate::run::interrupt::Interrupts;
use crate::run::state::{beginning, check_identity, ended};
use crate::run::{self, Run};
use crate::runtime::Runtime;
use logodex_sampling::{BrandRows, FoldRows};

/// What is to be done about a run that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It must not be there.
    Refuse,
    /// It is continued, and must be there.
    Resume,
    /// It is continued, or started where there is none.
    ResumeOrStart,
}

/// Trains a run from its configuration, or continues it from its newest whole checkpoint.
///
/// # Errors
/// A slip in what was typed or configured ([`Failure::Usage`]), a dataset that does not exist or is damaged
/// ([`DatasetError`](logodex_dataset::DatasetError)), a loss that is no finite number, the disk, or a signal
/// ([`Interrupted`](crate::run::interrupt::Interrupted)).
pub fn fit(
    dataset_dir: &Path,
    split_name: &str,
    config_path: &Path,
    run_dir: &Path,
    existing: Existing,
) -> Result<()> {
    // What was asked for, judged before anything is written.
    let (config, mut config_bytes) = config::read(config_path)?;
    let found = match existing {
        Existing::Refuse => {
            run::refuse_existing(run_dir)?;
            None
        }
        Existing::Resume | Existing::ResumeOrStart => run::find(run_dir, &config)?,
    };
    if found.is_none() && existing == Existing::Resume {
        return Err(Failure::Usage(format!(
            "{}: there is no run to continue; leave --resume out to start one, or say --resume-or-start",
            run_dir.display()
        ))
        .into());
    }
    let (found, extended_from) = match found {
        None => {
            tracing::info!("{}: a new run", run_dir.display());
            (None, None)
        }
        Some(found) => {
            config_bytes = found.config_bytes;
            if found.checkpoint.is_none() {
                tracing::warn!(
                    "{}: no checkpoint yet, starting from the beginning",
                    run_dir.display()
                );
            }
            (found.checkpoint, found.extended_from)
        }
    };
    let tables = Tables::open(dataset_dir)?;
    let split = tables.split(split_name)?;
    logodex_sampling::check_brands(&tables, &split, &config)?;
    check_residency(&tables, &config.runtime)?;
    let dataset = Dataset::map(tables)?;
    let mut beginning = beginning(&config_bytes, &dataset, &split);
    beginning.best_by = config.checkpoint.best_by;
    let mut runtime_config = config.runtime.clone();
    if let Some(checkpoint) = &found {
        let state = &checkpoint.state;
        check_identity(state, &beginning, &config_bytes, run_dir)?;
        if let Some(why) = ended(state, &config) {
            print(format_args!(
                "{}: finished already, {why}\n",
                run_dir.display()
            ));
            return Ok(());
        }
        let extended = extended_from.map_or_else(String::new, |before| {
            format!(
                ", for {} epochs instead of {before}",
                config.schedule.epochs
            )
        });
        tracing::info!(
            "{}: continuing from checkpoint {}{extended}",
            run_dir.display(),
            folder_name(state)
        );
        if let (0, Some(threads)) = (runtime_config.threads, state.threads) {
            runtime_config.threads = threads;
        }
    }

    // What there is to learn from. Every epoch has the same size, whatever it draws.
    let (train, val) = logodex_sampling::folds(&dataset, &split, &config)?;
    let samples = Samples::draw(&config, &train, 0);
    let plans = samples.batches(config.data.batch as usize);
    let skipped_images = match config.sampler() {
        SamplerKind::Images | SamplerKind::Pk => 0,
        SamplerKind::Triplets | SamplerKind::Pairs => train.n_single(),
    };
    if config.schedule.epochs > 0 {
        check_samples(&train, plans.len(), skipped_images, split_name)?;
        for warning in config::warnings(&config) {
            tracing::warn!("{warning}");
        }
        warn_of_large_batch(&config, &train, &samples);
    }
    let best_by = found
        .as_ref()
        .map_or(config.checkpoint.best_by, |c| c.state.best_by);
    let validation = ValidationSet::draw(&config.loss, &val, config.seed, best_by);
    let lone = |b: &BrandRows| b.images.iter().all(|image| *image == b.images[0]);
    if best_by == BestBy::MapAtR && validation.is_some() && val.brands.iter().all(lone) {
        tracing::warn!(
            "split {split_name:?}: no validation brand has two pictures, so no epoch has a MAP@R and there will be no best checkpoint; checkpoint.best_by = \"f1\" judges by pairs"
        );
    }
    if validation.is_none() && config.schedule.epochs > 0 {
        tracing::warn!(
            "split {split_name:?}: no pair can be drawn from its validation brands, so no epoch is validated and there will be no best checkpoint"
        );
    }

    // The learner, fresh or as the checkpoint left it. A fresh one comes first: its weights file may be a slip, too.
    let runtime = Runtime::start(&runtime_config)?;
    let n_classes = train.brands.len();
    let fresh = match found {
        None => {
            let history = history::of_beginning(&config, &dataset, &split)?;
            Some((Learner::new(&config, n_classes, &runtime)?, history))
        }
        Some(_) => None,
    };
    let validated = validation.as_ref().map_or(Vec::new(), ValidationSet::rows);
    let kept = |net: &EmbeddingNet| {
        let n_rows = [train.n_rows(), validated.len()];
        levels(&config, &runtime, (net, dataset.side_px()), n_rows)
    };
    let levels = match (&fresh, config.schedule.epochs) {
        (Some((fresh, _)), 1..) => Some(kept(&fresh.net)?),
        _ => None,
    };
    let run = Run::take(run_dir, &config_bytes)?;
    run.note_dataset(&dataset, &split)?;
    let keep_every = config.checkpoint.every_epochs;
    let (learner, mut history, mut state) = match (run.repair(keep_every)?, fresh) {
        (Some(c), _) => (
            Learner::resume(&config, n_classes, &runtime, &c)?,
            c.history()?,
            c.state,
        ),
        (None, Some((fresh, history))) => (fresh, history, beginning),
        (None, None) => (
            Learner::new(&config, n_classes, &runtime)?,
            history::of_beginning(&config, &dataset, &split)?,
            beginning,
        ),
    };
    history::add_own(&mut history, &config, &dataset, &split, &train)?;
    state.threads = Some(runtime.threads);
    if config.schedule.epochs == 0 {
        let contents = Contents {
            state: &state,
            history: &history,
            model: learner.model_state(),
            optimizer: learner.training_state(),
        };
        publish(&run.checkpoints(), &contents, keep_every)?;
        print(format_args!(
            "{}: the network as initialised, not trained\n",
            run_dir.display()
        ));
        return Ok(());
    }

    let levels = levels.map_or_else(|| kept(&learner.net), Ok)?;
    let rows = [train.rows(), validated.clone()];
    let shared = config.runtime.feature_cache_dir.as_deref();
    let features = CachedFeatures::of_run(run.dir(), shared.map(Path::new), rows, levels);
    let resident = match config.runtime.residency {
        Residency::Host => None,
        Residency::Device => Some(Resident::load(&dataset, train.rows(), runtime.device)?),
    };
    let interrupts = Interrupts::listen();
    let images = |plans: &[BatchPlan]| plans.iter().map(|plan| plan.rows.len() as u64).sum();
    let images_per_epoch: u64 = images(&plans);
    let progress = ImageProgress::start(
        "training",
        u64::from(config.schedule.epochs) * images_per_epoch,
        u64::from(state.epochs_done) * images_per_epoch
            + images(&plans[..state.epoch_batches as usize]),
    );
    let steps_per_epoch = steps_per_epoch(plans.len() as u64, config.optimizer.accumulate);
    let mut training = Training {
        journal: Journal::open(&run, &state, runtime.device, progress)?,
        config: &config,
        runtime: &runtime,
        dataset: &dataset,
        source: resident
            .as_ref()
            .map_or(Source::Host(&dataset), Source::Device),
        features,
        train,
        skipped_images,
        validation,
        total_steps: u64::from(config.schedule.epochs) * steps_per_epoch,
        run,
        interrupts,
        learner,
        history,
        state,
    };
    let why = loop {
        training.epoch()?;
        if let Some(why) = ended(&training.state, &config) {
            break why;
        }
        if let Some(interrupted) = training.interrupted() {
            return Err(interrupted.into());
        }
    };
    training.journal.progress.finish();
    if let Some(features) = training.features.take() {
        features.delete()?;
    }
    let state = &training.state;
    let best = match (state.best_epoch, state.best_value) {
        (Some(epoch), Some(value)) => {
            let name = state.best_by.name();
            format!("; validation {name} was highest, {value:.4}, in epoch {epoch}")
        }
        _ => String::new(),
    };
    print(format_args!("{}: {why}{best}\n", run_dir.display()));
    Ok(())
}

/// A batch that an epoch cannot fill is another than the one that was asked for.
fn warn_of_large_batch(config: &TrainConfig, train: &FoldRows, samples: &Samples) {
    let batch = config.data.batch as usize;
    let (there, of, outcome) = match config.sampler() {
        SamplerKind::Pk => (train.n_rows(), "pictures", "pictures come more than once"),
        SamplerKind::Triplets => (samples.len(), "triplets", "it holds these alone"),
        SamplerKind::Pairs => (samples.len(), "pairs", "it holds these alone"),
        SamplerKind::Images => (samples.len(), "pictures", "it holds these alone"),
    };
    if batch > there {
        tracing::warn!(
            "data.batch = {batch} is more than the {there} {of} that the training fold gives an epoch: {outcome}, and an epoch is one step"
        );
    }
}

fn check_samples(
    train: &FoldRows,
    n_batches: usize,
    skipped_images: u64,
    split: &str,
) -> Result<(), Failure> {
    let n_brands = train.brands.len();
    if n_brands < 2 || n_batches == 0 {
        return Err(Failure::Usage(format!(
            "split {split:?}: nothing to train on: {n_brands} training brands with {} images, of which {skipped_images} are their brand's only one; at least two brands are needed, and two images that have another of their brand",
            train.n_rows()
        )));
    }
    if skipped_images > 0 {
        tracing::warn!(
            skipped_images,
            "{skipped_images} training brands have only one image: it has no positive, so it is skipped as an anchor and serves as a negative only"
        );
    }
    Ok(())
}
