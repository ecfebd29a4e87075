//! `logodex-train fit`: the training loop, top to bottom.
//!
//! Whatever is random is derived from (seed, purpose, epoch, step or row), so what is repeated after a kill repeats every
//! draw: a resumed run ends with the same weights, bit for bit, as the run left alone. That holds for the same build on
//! the same device with the same number of threads.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use logodex_schemas::run::{LearningRates, MetricsLine, RunState};
use logodex_schemas::train::{Residency, SamplerKind, TrainConfig};
use tch::Tensor;

use crate::batch::{BatchPlan, Samples};
use crate::checkpoint::{Contents, publish};
use crate::config;
use crate::feed::{Batch, Resident, Source, check_residency, feed};
use crate::interrupt::{Interrupted, Interrupts};
use crate::journal::{Journal, StepRecord};
use crate::learner::Learner;
use crate::model::{Group, Mode, Parameter};
use crate::optimizer::{clip_grad_norm, grad_norm, zero_grad};
use crate::run::{self, Run};
use crate::runtime::Runtime;
use crate::sampler::{self, FoldRows};
use crate::schedule::{batches_of_step, frozen_stages, lr_factor, rate, steps_per_epoch};
use crate::state::{beginning, check_identity, ended, finish_epoch};
use crate::validate::{Validation, plan as validation_plan, validate};
use crate::{augment, monitor, torch};
use logodex_dataset::dataset::{Dataset, Split, Tables};
use logodex_evaluation::curves;
use logodex_program::Failure;
use logodex_program::progress::ImageProgress;
use logodex_schemas::random::derive;

/// Trains a run from its configuration, or continues it from its newest whole checkpoint.
///
/// # Errors
/// A slip in what was typed or configured ([`Failure::Usage`]), a dataset that does not exist or is damaged
/// ([`DatasetError`](logodex_dataset::dataset::DatasetError)), a loss that is no finite number, the disk, or a signal
/// ([`Interrupted`]).
pub fn fit(
    dataset_dir: &Path,
    split_name: &str,
    config_path: &Path,
    run_dir: &Path,
    resume: bool,
) -> Result<()> {
    // What was asked for, judged before anything is written.
    let (config, config_bytes) = config::read(config_path)?;
    let found = match resume {
        true => run::find(run_dir, &config_bytes)?,
        false => {
            run::refuse_existing(run_dir)?;
            None
        }
    };
    let tables = Tables::open(dataset_dir)?;
    let split = tables.split(split_name)?;
    sampler::check_brands(&tables, &split, &config)?;
    check_residency(&tables, &config.runtime)?;
    let dataset = Dataset::map(tables)?;
    let beginning = beginning(&config_bytes, &dataset, &split);
    if let Some(checkpoint) = &found {
        check_identity(&checkpoint.state, &beginning, run_dir)?;
        if let Some(why) = ended(&checkpoint.state, &config) {
            println!("{}: finished already, {why}", run_dir.display());
            return Ok(());
        }
    } else if resume {
        tracing::warn!(
            "{}: no checkpoint yet, starting from the beginning",
            run_dir.display()
        );
    }

    // What there is to learn from. Every epoch has the same size, whatever it draws.
    let (train, val) = sampler::folds(&dataset, &split, &config)?;
    let plans = Samples::draw(&config, &train, 0).batches(config.data.batch as usize);
    let skipped_images = match config.sampler() {
        SamplerKind::Images | SamplerKind::Pk => 0,
        SamplerKind::Triplets | SamplerKind::Pairs => train.n_single(),
    };
    if config.schedule.epochs > 0 {
        check_samples(&train, plans.len(), skipped_images, split_name)?;
    }
    let validation = validation_plan(&config.loss, &val, config.seed);
    if validation.is_none() && config.schedule.epochs > 0 {
        tracing::warn!(
            "split {split_name:?}: no pair can be drawn from its validation brands, so no epoch is validated and there will be no best checkpoint"
        );
    }

    // The learner, fresh or as the checkpoint left it. A fresh one comes first: its weights file may be a slip, too.
    let runtime = Runtime::start(&config.runtime)?;
    let n_classes = train.brands.len();
    let fresh = match found {
        None => Some(Learner::new(&config, n_classes, &runtime)?),
        Some(_) => None,
    };
    let run = Run::take(run_dir, &config_bytes)?;
    let keep_every = config.checkpoint.every_epochs;
    let (learner, state) = match (run.repair(keep_every)?, fresh) {
        (Some(c), _) => (Learner::resume(&config, n_classes, &runtime, &c)?, c.state),
        (None, Some(fresh)) => (fresh, beginning),
        (None, None) => (Learner::new(&config, n_classes, &runtime)?, beginning),
    };
    if config.schedule.epochs == 0 {
        let contents = Contents {
            state: &state,
            model: learner.model_state(),
            optimizer: learner.training_state(),
        };
        publish(&run.checkpoints(), &contents, keep_every)?;
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
        train,
        skipped_images,
        validation,
        total_steps: u64::from(config.schedule.epochs) * steps_per_epoch,
        run,
        interrupts,
        learner,
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
    let best = match (training.state.best_epoch, training.state.best_f1) {
        (Some(epoch), Some(f1)) => {
            format!("; validation F1 was highest, {f1:.4}, in epoch {epoch}")
        }
        _ => String::new(),
    };
    println!("{}: {why}{best}", run_dir.display());
    Ok(())
}

/// A run at work: what it is made of, where it stands, what it tells.
struct Training<'a> {
    config: &'a TrainConfig,
    runtime: &'a Runtime,
    dataset: &'a Dataset,
    source: Source<'a>,
    train: FoldRows,
    skipped_images: u64,
    validation: Option<BatchPlan>,
    total_steps: u64,
    run: Run,
    interrupts: Interrupts,
    learner: Learner,
    state: RunState,
    journal: Journal,
}

impl Training<'_> {
    /// One epoch, or what an interruption has left of it: steps, validation, checkpoint.
    fn epoch(&mut self) -> Result<()> {
        let (config, dataset, device) = (self.config, self.dataset, self.runtime.device);
        let epoch = self.state.epochs_done;
        let frozen = frozen_stages(&config.schedule, epoch);
        let samples = Samples::draw(config, &self.train, epoch.into());
        let mut plans = samples.batches(config.data.batch as usize);
        let n_batches = plans.len() as u64;
        let left = plans.split_off(self.state.epoch_batches as usize);
        let (began, mut images) = (Instant::now(), 0);
        self.journal.progress.goes_on();

        std::thread::scope(|scope| -> Result<()> {
            let mut batches = feed(scope, self.source, left, device);
            while self.state.epoch_batches < n_batches {
                // The mean gradient of up to `accumulate` batches.
                let done = self.state.epoch_batches;
                let size = batches_of_step(done, n_batches, config.optimizer.accumulate);
                let step = self.state.steps_done + 1;
                let (mut losses, mut reading) = (Vec::new(), None);
                zero_grad(&self.learner.parameters);
                for i in 0..size {
                    let batch = batches.next().context("the batches ended early")??;
                    // Dropout is the only generator that libtorch draws from here.
                    let number = u64::from(epoch) * n_batches + self.state.epoch_batches + i;
                    tch::manual_seed(derive(config.seed, "dropout", &[number]) as i64);
                    let pictures = self.pictures(&batch, epoch); // [roles × B, 3, H, W]
                    let targets = self.runtime.i64_tensor(&batch.plan.targets); // [B]
                    let mode = Mode::Train { frozen };
                    let embeddings = torch::autocast_bf16(device, self.runtime.bf16, || {
                        self.learner.net.forward(&pictures, mode)
                    }); // [roles × B, D]
                    let loss = self
                        .learner
                        .loss(config, &embeddings, &targets, step - 1, number);
                    (&loss / size as f64).backward();
                    let plan = batch.plan;
                    if monitor::is_due(step) && i + 1 == size {
                        let (targets, roles) = (&plan.targets, plan.roles);
                        reading = Some(monitor::read(&config.loss, &embeddings, targets, roles));
                    }
                    images += plan.rows.len() as u64;
                    losses.push((loss.detach(), plan));
                }

                // One step of the optimiser.
                let parameters = &self.learner.parameters;
                let grad_norm = match config.optimizer.clip_norm {
                    Some(max) => clip_grad_norm(parameters, max),
                    None => grad_norm(parameters),
                };
                let lr = learning_rates(config, self.state.steps_done, self.total_steps, epoch);
                let rate = |parameter: &Parameter| match parameter.group {
                    Group::Backbone { .. } => lr.backbone,
                    Group::Head => lr.head,
                    Group::Loss => lr.loss,
                };
                self.learner.optimizer.step(parameters, rate);
                self.learner.average();

                // Where the run stands now, told and, where it is time, written.
                self.state.steps_done = step;
                self.state.epoch_batches += size;
                let record = StepRecord {
                    epoch,
                    step,
                    lr,
                    batches: losses,
                    grad_norm,
                    reading,
                };
                self.journal
                    .step(record, &mut self.state, &self.run, dataset)?;
                let every = config.checkpoint.every_steps;
                let within = self.state.epoch_batches < n_batches;
                let interrupted = self.interrupted();
                if (within && every > 0 && step.is_multiple_of(every)) || interrupted.is_some() {
                    self.checkpoint()?;
                }
                if let Some(interrupted) = interrupted {
                    return Err(interrupted.into());
                }
            }
            Ok(())
        })?;
        self.journal.settle(&mut self.state, &self.run, dataset)?;
        let images_per_sec = images as f64 / began.elapsed().as_secs_f64();

        let validated = match &self.validation {
            None => None,
            Some(plan) => {
                let net = self.learner.evaluated();
                Some(validate(net, self.runtime, dataset, plan, &config.loss)?)
            }
        };
        let train_loss = self.state.epoch_loss_sum / self.state.epoch_samples as f64;
        self.journal.metrics.write(MetricsLine::Epoch {
            epoch,
            step: self.state.steps_done,
            train_loss,
            val_loss: validated.and_then(|v| v.loss),
            f1: validated.map(|v| v.f1),
            threshold: validated.map(|v| v.threshold),
            lr: learning_rates(config, self.state.steps_done - 1, self.total_steps, epoch),
            freeze: frozen,
            skipped_images: self.skipped_images,
            images_per_sec,
        })?;
        let line = epoch_line(epoch, train_loss, validated, images_per_sec);
        self.journal.progress.say(&line);
        let lines = self.journal.metrics.lines();
        curves::write(self.run.dir(), &config.schedule, lines)?;

        finish_epoch(&mut self.state, config, validated.map(|v| v.f1));
        self.checkpoint()
    }

    /// The batch's pictures as the network takes them: augmented where the configuration says so, normalised.
    fn pictures(&self, batch: &Batch, epoch: u32) -> Tensor {
        let images = &batch.images_nhwc;
        let (side_px, keys) = (images.size()[1] as usize, &batch.plan.keys);
        let augment = self.config.augment.as_ref();
        let drawn =
            augment.map(|a| augment::draw(a, side_px, self.config.seed, epoch.into(), keys));
        augment::prepare(images, drawn.as_ref())
    }

    /// Writes a checkpoint of the run as it stands.
    fn checkpoint(&mut self) -> Result<()> {
        self.journal
            .settle(&mut self.state, &self.run, self.dataset)?;
        self.journal.metrics.sync()?;
        let contents = Contents {
            state: &self.state,
            model: self.learner.model_state(),
            optimizer: self.learner.training_state(),
        };
        let keep_every = self.config.checkpoint.every_epochs;
        publish(&self.run.checkpoints(), &contents, keep_every)
    }

    /// The signal that came, if one did.
    fn interrupted(&self) -> Option<Interrupted> {
        let step = self.state.steps_done;
        let signal = self.interrupts.received()?;
        Some(Interrupted { signal, step })
    }
}

/// The rates of the step that is taken after `step` others.
fn learning_rates(config: &TrainConfig, step: u64, total_steps: u64, epoch: u32) -> LearningRates {
    let factor = lr_factor(&config.schedule, step, total_steps, epoch);
    let rate = |group| rate(&config.optimizer, factor, group);
    LearningRates {
        backbone: rate(Group::Backbone { stage: 0 }),
        head: rate(Group::Head),
        loss: rate(Group::Loss),
    }
}

/// Training images that an epoch takes through the network, found without reading a picture; the same in every epoch.
///
/// # Errors
/// [`Failure::Usage`] where a P×K batch needs more brands than there are.
pub fn images_per_epoch(
    dataset: &Dataset,
    split: &Split,
    config: &TrainConfig,
) -> Result<u64, Failure> {
    let (train, _) = sampler::folds(dataset, split, config)?;
    let plans = Samples::draw(config, &train, 0).batches(config.data.batch as usize);
    Ok(plans.iter().map(|plan| plan.rows.len() as u64).sum())
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

fn epoch_line(
    epoch: u32,
    train_loss: f64,
    validated: Option<Validation>,
    images_per_sec: f64,
) -> String {
    let mut line = format!("epoch {epoch}: train loss {train_loss:.4}");
    if let Some(v) = validated {
        if let Some(loss) = v.loss {
            line += &format!(", validation loss {loss:.4}");
        }
        line += &format!(", F1 {:.4} at {:.3}", v.f1, v.threshold);
    }
    line + &format!(", {images_per_sec:.0} images/s")
}
