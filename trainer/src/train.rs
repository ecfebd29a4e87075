//! `logodex-train fit`: the training loop, top to bottom.
//!
//! Whatever is random is derived from (seed, purpose, epoch, step or row), so an epoch that is repeated after a kill
//! repeats every draw: a resumed run ends with the same weights, bit for bit, as the run left alone. That holds for
//! the same build on the same device with the same number of threads.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use logodex_schemas::run::{MetricsLine, RunState, run_header};
use logodex_schemas::split::Fold;
use logodex_schemas::train::{Residency, SamplerKind, TrainConfig};
use tch::Tensor;

use crate::batch::{BatchPlan, Samples};
use crate::checkpoint::publish;
use crate::config::{self, UsageError};
use crate::dataset::{Dataset, Split, Tables};
use crate::feed::{Batch, Resident, Source, feed};
use crate::learner::Learner;
use crate::model::{Group, Mode};
use crate::optimizer::zero_grad;
use crate::progress::Progress;
use crate::random::derive;
use crate::run::{self, Metrics, Run};
use crate::runtime::Runtime;
use crate::sampler::{self, FoldRows};
use crate::schedule::{frozen_stages, lr_factor, rate};
use crate::validate::{Validation, plan as validation_plan, validate};
use crate::{augment, torch};

/// Trains a run from its configuration, or continues it from its newest checkpoint.
///
/// # Errors
/// A slip in what was typed or configured ([`UsageError`]), a dataset that does not exist or is damaged
/// ([`DatasetError`](crate::dataset::DatasetError)), a loss that is no finite number, or the disk.
pub fn fit(
    dataset_dir: &Path,
    split_name: &str,
    config_path: &Path,
    run_dir: &Path,
    resume: bool,
) -> Result<()> {
    // What was asked for, judged before anything is written.
    let (config, config_bytes) = config::read(config_path)?;
    let checkpoint = match resume {
        true => run::find(run_dir, &config_bytes)?,
        false => {
            run::refuse_existing(run_dir)?;
            None
        }
    };
    let tables = Tables::open(dataset_dir)?;
    let split = tables.split(split_name)?;
    check_brands(&tables, &split, &config)?;
    let dataset = Dataset::map(tables)?;
    let identity = RunState {
        header: run_header(),
        epochs_done: 0,
        steps_done: 0,
        best_epoch: None,
        best_f1: None,
        config_blake3: blake3::hash(&config_bytes).to_hex().to_string(),
        manifest_blake3: dataset.manifest_blake3().to_owned(),
        split_blake3: split.blake3().to_owned(),
        model_blake3: String::new(),
        optimizer_blake3: String::new(),
    };
    if let Some(checkpoint) = &checkpoint {
        check_identity(&checkpoint.state, &identity, run_dir)?;
        if checkpoint.state.epochs_done >= config.schedule.epochs {
            println!(
                "{}: finished already, all {} epochs are done",
                run_dir.display(),
                config.schedule.epochs
            );
            return Ok(());
        }
    } else if resume {
        tracing::warn!(
            "{}: no checkpoint yet, starting from the beginning",
            run_dir.display()
        );
    }

    // What there is to learn from.
    let (train, val) = folds(&dataset, &split, &config);
    if config.sampler() == SamplerKind::Pk {
        sampler::check_pk(&config.data, train.brands.len())?;
        sampler::warn_of_short_brands(&train, config.data.images_per_brand as usize);
    }
    // Every epoch has the same size, whatever it draws.
    let plans = Samples::draw(&config, &train, 0).batches(config.data.batch as usize);
    let steps_per_epoch = plans.len() as u64;
    let images_per_epoch: u64 = plans.iter().map(|plan| plan.rows.len() as u64).sum();
    let skipped_images = match config.sampler() {
        SamplerKind::Images | SamplerKind::Pk => 0,
        SamplerKind::Triplets | SamplerKind::Pairs => train.n_single(),
    };
    if config.schedule.epochs > 0 {
        check_samples(&train, steps_per_epoch, skipped_images, split_name)?;
    }
    let validation = validation_plan(&config.loss, &val, config.seed);
    if validation.is_none() && config.schedule.epochs > 0 {
        tracing::warn!(
            "split {split_name:?}: no pair can be drawn from its validation brands, so no epoch is validated and there will be no best checkpoint"
        );
    }

    // The learner, fresh or as the checkpoint left it.
    let runtime = Runtime::start(&config.runtime)?;
    let n_classes = train.brands.len();
    let (mut learner, mut state) = match &checkpoint {
        Some(c) => (
            Learner::resume(&config, n_classes, &runtime, c)?,
            c.state.clone(),
        ),
        None => (Learner::new(&config, n_classes, &runtime)?, identity),
    };
    let run = Run::take(run_dir, &config_bytes)?;
    let mut metrics = run.metrics(state.epochs_done)?;
    if config.schedule.epochs == 0 {
        let model = learner.model_state();
        publish(
            &run.checkpoints(),
            state,
            &model,
            &learner.optimizer.state(),
            false,
        )?;
        println!(
            "{}: the network as initialised, not trained",
            run_dir.display()
        );
        return Ok(());
    }

    let resident = match config.runtime.residency {
        Residency::Host => None,
        Residency::Device => Some(Resident::load(&dataset, train.rows(), runtime.device)?),
    };
    let source = resident
        .as_ref()
        .map_or(Source::Host(&dataset), Source::Device);
    let total_steps = u64::from(config.schedule.epochs) * steps_per_epoch;
    let mut progress = Progress::start(
        "training",
        u64::from(config.schedule.epochs) * images_per_epoch,
        u64::from(state.epochs_done) * images_per_epoch,
    );
    for epoch in state.epochs_done..config.schedule.epochs {
        let began = Instant::now();
        let samples = Samples::draw(&config, &train, u64::from(epoch));
        let plans = samples.batches(config.data.batch as usize);
        let pass = Pass {
            config: &config,
            runtime: &runtime,
            epoch,
            total_steps,
        };
        let (train_loss, lr) = pass.run(
            &mut learner,
            source,
            plans,
            &mut state.steps_done,
            &mut metrics,
            &mut progress,
        )?;
        let images_per_sec = images_per_epoch as f64 / began.elapsed().as_secs_f64();

        let validated = match &validation {
            Some(plan) => Some(validate(
                &learner.net,
                &runtime,
                &dataset,
                plan,
                &config.loss,
            )?),
            None => None,
        };
        metrics.write(&MetricsLine::Epoch {
            epoch,
            step: state.steps_done,
            train_loss,
            val_loss: validated.and_then(|v| v.loss),
            f1: validated.map(|v| v.f1),
            threshold: validated.map(|v| v.threshold),
            lr,
            freeze: frozen_stages(&config.schedule, epoch),
            skipped_images,
            images_per_sec,
        })?;
        metrics.sync()?;
        progress.say(&epoch_line(
            epoch,
            config.schedule.epochs,
            train_loss,
            validated,
            images_per_sec,
        ));

        // The first epoch with the highest F1 is the best.
        let is_best = validated.is_some_and(|v| state.best_f1.is_none_or(|best| v.f1 > best));
        if is_best {
            state.best_epoch = Some(epoch);
            state.best_f1 = validated.map(|v| v.f1);
        }
        state.epochs_done = epoch + 1;
        let model = learner.model_state();
        publish(
            &run.checkpoints(),
            state.clone(),
            &model,
            &learner.optimizer.state(),
            is_best,
        )?;
    }
    progress.finish();
    match (state.best_epoch, state.best_f1) {
        (Some(epoch), Some(f1)) => println!(
            "{}: {} epochs done; validation F1 was highest, {f1:.4}, in epoch {epoch}",
            run_dir.display(),
            state.epochs_done
        ),
        _ => println!("{}: {} epochs done", run_dir.display(), state.epochs_done),
    }
    Ok(())
}

/// One epoch's pass over the training batches.
struct Pass<'a> {
    config: &'a TrainConfig,
    runtime: &'a Runtime,
    epoch: u32,
    total_steps: u64,
}

impl Pass<'_> {
    /// Steps through `plans`; returns the mean loss over the epoch's samples and the head's rate at the last step.
    fn run(
        &self,
        learner: &mut Learner,
        source: Source,
        plans: Vec<BatchPlan>,
        steps_done: &mut u64,
        metrics: &mut Metrics,
        progress: &mut Progress,
    ) -> Result<(f64, f64)> {
        let config = self.config;
        let mode = Mode::Train {
            frozen: frozen_stages(&config.schedule, self.epoch),
        };
        let (mut loss_sum, mut n_samples, mut head_lr) = (0.0, 0.0, 0.0);
        std::thread::scope(|scope| {
            for batch in feed(scope, source, plans, self.runtime.device) {
                let batch = batch?;
                // Dropout is the only generator that libtorch draws from here.
                tch::manual_seed(derive(config.seed, "dropout", &[*steps_done]) as i64);
                let images = self.images(&batch); // [roles × B, 3, H, W]
                let targets = self.runtime.i64_tensor(&batch.plan.targets); // [B]
                let embeddings =
                    torch::autocast_bf16(self.runtime.device, self.runtime.bf16, || {
                        learner.net.forward(&images, mode)
                    }); // [roles × B, D]
                let loss = learner.loss(&config.loss, &embeddings, &targets);
                let value = loss.double_value(&[]);
                if !value.is_finite() {
                    bail!(not_finite(value, *steps_done, self.epoch, &batch.plan));
                }
                zero_grad(&learner.parameters);
                loss.backward();
                let factor = lr_factor(&config.schedule, *steps_done, self.total_steps, self.epoch);
                head_lr = rate(&config.optimizer, factor, Group::Head);
                learner.optimizer.step(&learner.parameters, |p| {
                    rate(&config.optimizer, factor, p.group)
                });

                *steps_done += 1;
                let size = (batch.plan.rows.len() / batch.plan.roles) as f64;
                loss_sum += value * size;
                n_samples += size;
                metrics.write(&MetricsLine::Step {
                    epoch: self.epoch,
                    step: *steps_done,
                    loss: value,
                })?;
                progress.advance(batch.plan.rows.len() as u64, Some(value));
            }
            Ok((loss_sum / n_samples, head_lr))
        })
    }

    /// The batch's pictures as the network takes them: augmented where the configuration says so, normalised.
    fn images(&self, batch: &Batch) -> Tensor {
        let images = &batch.images_nhwc;
        let side_px = images.size()[1] as usize;
        let draw = |config| {
            let keys = &batch.plan.keys;
            augment::draw(
                config,
                side_px,
                self.config.seed,
                u64::from(self.epoch),
                keys,
            )
        };
        augment::prepare(images, self.config.augment.as_ref().map(draw).as_ref())
    }
}

/// Finds, before a shard is opened, that a P×K batch needs more brands than the split has for training.
fn check_brands(tables: &Tables, split: &Split, config: &TrainConfig) -> Result<(), UsageError> {
    if config.sampler() != SamplerKind::Pk {
        return Ok(());
    }
    let brands = |fold| {
        let brands = tables.fold(split, fold);
        brands.iter().filter(|brand| brand.n_rows > 0).count()
    };
    let (n_train, n_val) = (brands(Fold::Train), brands(Fold::Val));
    let n_kept = match config.data.total_images {
        None => n_train,
        Some(total) => {
            let least = config.data.min_images_per_brand;
            let (kept, ..) = sampler::subset_sizes((n_train, n_val), total, least, split.info.val);
            kept.min(n_train)
        }
    };
    sampler::check_pk(&config.data, n_kept)
}

/// The rows to train and to validate on.
fn folds(dataset: &Dataset, split: &Split, config: &TrainConfig) -> (FoldRows, FoldRows) {
    let train = FoldRows::new(
        dataset,
        &dataset.fold(split, Fold::Train),
        config.data.region,
    );
    let val = FoldRows::new(dataset, &dataset.fold(split, Fold::Val), config.data.region);
    match config.data.total_images {
        None => (train, val),
        Some(total) => sampler::subset(
            &train,
            &val,
            total,
            config.data.min_images_per_brand,
            split.info.val,
            config.seed,
        ),
    }
}

fn check_samples(
    train: &FoldRows,
    steps_per_epoch: u64,
    skipped_images: u64,
    split: &str,
) -> Result<(), UsageError> {
    let n_brands = train.brands.len();
    if n_brands < 2 || steps_per_epoch == 0 {
        return Err(UsageError(format!(
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

/// A run continues only with the data it began with.
fn check_identity(saved: &RunState, now: &RunState, run: &Path) -> Result<(), UsageError> {
    let changed = if saved.config_blake3 != now.config_blake3 {
        "configuration"
    } else if saved.manifest_blake3 != now.manifest_blake3 {
        "dataset"
    } else if saved.split_blake3 != now.split_blake3 {
        "split"
    } else {
        return Ok(());
    };
    Err(UsageError(format!(
        "{}: this run began with another {changed}; a run continues only with the same one, so give that one or start another run",
        run.display()
    )))
}

fn not_finite(loss: f64, step: u64, epoch: u32, plan: &BatchPlan) -> String {
    const NAMED: usize = 24;
    let named: Vec<String> = plan.rows.iter().take(NAMED).map(u64::to_string).collect();
    let rest = match plan.rows.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!(
        "the loss is {loss} at step {step} (epoch {epoch}), rows {}{rest}; lower optimizer.lr or raise schedule.warmup_steps; the last checkpoint is untouched",
        named.join(", ")
    )
}

fn epoch_line(
    epoch: u32,
    epochs: u32,
    train_loss: f64,
    validated: Option<Validation>,
    images_per_sec: f64,
) -> String {
    let mut line = format!("epoch {epoch} of 0..{epochs}: train loss {train_loss:.4}");
    if let Some(v) = validated {
        if let Some(loss) = v.loss {
            line += &format!(", validation loss {loss:.4}");
        }
        line += &format!(", F1 {:.4} at {:.3}", v.f1, v.threshold);
    }
    line + &format!(", {images_per_sec:.0} images/s")
}
