//! The training loop, top to bottom: one epoch of steps, its validation and its checkpoint.
//!
//! Whatever is random is derived from (seed, purpose, epoch, step or row), so what is repeated after a kill repeats
//! every draw: a resumed run ends with the same weights, bit for bit, as the run left alone. That holds for the same
//! build on the same device with the same number of threads.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use logodex_dataset::Dataset;
use logodex_evaluation::learning_curves;
use logodex_schemas::random::derive;
use logodex_schemas::run::history::History;
use logodex_schemas::run::{MetricsLine, RunState};
use logodex_schemas::train::TrainConfig;
use tch::Tensor;

use super::cached_features::{CachedFeatures, Given, Level};
use super::learner::Learner;
use super::validate::{Validation, ValidationSet, validate};
use crate::data::batch::{BatchPlan, Samples, views};
use crate::data::loader::{Batch, Source, load};
use crate::loss::objective::Targets;
use crate::model::{Group, Mode, Parameter};
use crate::monitor::collapse;
use crate::monitor::journal::{Journal, StepRecord};
use crate::optim::schedule::{batches_of_step, frozen_stages, learning_rates};
use crate::optim::{clip_grad_norm, grad_norm, zero_grad};
use crate::run::Run;
use crate::run::checkpoint::{Contents, publish};
use crate::run::interrupt::{Interrupted, Interrupts};
use crate::run::state::finish_epoch;
use crate::runtime::Runtime;
use crate::{augment, torch};
use logodex_sampling::FoldRows;

/// A run at work: what it is made of, where it stands, what it tells.
pub(super) struct Training<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) runtime: &'a Runtime,
    pub(super) dataset: &'a Dataset,
    pub(super) source: Source<'a>,
    pub(super) features: Option<CachedFeatures>,
    pub(super) train: FoldRows,
    pub(super) skipped_images: u64,
    pub(super) validation: Option<ValidationSet>,
    pub(super) total_steps: u64,
    pub(super) run: Run,
    pub(super) interrupts: Interrupts,
    pub(super) learner: Learner,
    pub(super) history: History,
    pub(super) state: RunState,
    pub(super) journal: Journal,
}

impl Training<'_> {
    /// One epoch, or what an interruption has left of it: steps, validation, checkpoint.
    pub(super) fn epoch(&mut self) -> Result<()> {
        let (config, dataset, device) = (self.config, self.dataset, self.runtime.device);
        let epoch = self.state.epochs_done;
        let frozen = frozen_stages(&config.schedule, epoch);
        let samples = Samples::draw(config, &self.train, epoch.into());
        let mut plans = samples.batches(config.data.batch as usize);
        if let Some(views) = views(config) {
            for plan in &mut plans {
                plan.take_views(views, config.seed, epoch.into());
            }
        }
        let n_batches = plans.len() as u64;
        let sizes: Vec<usize> = plans.iter().map(BatchPlan::samples).collect();
        let left = plans.split_off(self.state.epoch_batches as usize);
        let features = self.features_at(frozen)?;
        let source = features
            .as_ref()
            .map_or(self.source, |level| Source::Features(&level.train));
        let (began, mut images) = (Instant::now(), 0);
        self.journal.progress.goes_on();

        std::thread::scope(|scope| -> Result<()> {
            let mut batches = load(scope, source, left, device);
            while self.state.epoch_batches < n_batches {
                // The mean gradient over the samples of up to `accumulate` batches, of which the last may be short.
                let done = self.state.epoch_batches;
                let size = batches_of_step(done, n_batches, config.optimizer.accumulate);
                let samples: usize = sizes[done as usize..(done + size) as usize].iter().sum();
                let step = self.state.steps_done + 1;
                let (mut losses, mut reading) = (Vec::new(), None);
                zero_grad(&self.learner.parameters);
                for i in 0..size {
                    let batch = batches.next().context("the batches ended early")??;
                    // Dropout is the only generator that libtorch draws from here.
                    let number = u64::from(epoch) * n_batches + self.state.epoch_batches + i;
                    torch::manual_seed(derive(config.seed, "dropout", &[number]) as i64);
                    let targets = self.runtime.i64_tensor(&batch.plan.targets); // [B]
                    let photographs = (!config.data.same_photo_positives).then(|| {
                        let rows = batch.plan.rows.iter();
                        let images: Vec<i64> = rows.map(|row| dataset.image_of(*row)).collect();
                        self.runtime.i64_tensor(&images) // [B]
                    });
                    let targets = Targets {
                        targets: &targets,
                        photographs: photographs.as_ref(),
                    };
                    let mode = Mode::Train { frozen };
                    let embeddings = match source {
                        Source::Features(_) => {
                            torch::autocast_bf16(device, self.runtime.bf16, || {
                                self.learner.net.forward_from(&batch.input, frozen, mode)
                            })
                        }
                        Source::Host(_) | Source::Device(_) => {
                            let pictures = self.pictures(&batch, epoch); // [roles × B, 3, H, W]
                            torch::autocast_bf16(device, self.runtime.bf16, || {
                                self.learner.net.forward(&pictures, mode)
                            })
                        }
                    }; // [roles × B, D]
                    let loss = self
                        .learner
                        .loss(config, &embeddings, targets, step - 1, number);
                    let plan = batch.plan;
                    (&loss / (samples as f64 / plan.samples() as f64)).backward();
                    if collapse::is_due(step) && i + 1 == size {
                        let (targets, roles) = (&plan.targets, plan.roles);
                        reading = collapse::read(&config.loss, &embeddings, targets, roles);
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
            Some(set) => {
                let (net, runtime) = (self.learner.evaluated(), self.runtime);
                let val = features.as_ref().and_then(|level| level.val.as_ref());
                let source = val.map_or(Source::Host(dataset), |file| Source::Features(file));
                Some(validate(
                    net,
                    runtime,
                    (dataset, source),
                    set,
                    &config.loss,
                )?)
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
            map_at_r: validated.and_then(|v| v.map_at_r),
            lr: learning_rates(config, self.state.steps_done - 1, self.total_steps, epoch),
            freeze: frozen,
            skipped_images: self.skipped_images,
            images_per_sec,
        })?;
        let line = epoch_line(epoch, train_loss, validated, images_per_sec);
        self.journal.progress.say(&line);
        let lines = self.journal.metrics.lines();
        learning_curves::write(self.run.dir(), &config.schedule, lines)?;

        let value = validated.and_then(|v| v.value(self.state.best_by));
        finish_epoch(&mut self.state, config, value);
        self.checkpoint()
    }

    /// What the frozen stages give of the pictures, where that is kept; computed now if it is not there yet.
    fn features_at(&mut self, frozen: u8) -> Result<Option<Level>> {
        let Some(features) = &mut self.features else {
            return Ok(None);
        };
        let given = Given {
            config: self.config,
            runtime: self.runtime,
            dataset: self.dataset,
            net: &self.learner.net,
        };
        let step = self.state.steps_done;
        let interrupted = || {
            let signal = self.interrupts.received()?;
            let ended = format!(
                "the run after step {step}, while it computed what frozen stages give; continue with --resume"
            );
            Some(Interrupted { signal, ended })
        };
        features.at(frozen, given, self.source, &interrupted)
    }

    /// The batch's pictures as the network takes them: augmented where the configuration says so, normalised.
    fn pictures(&self, batch: &Batch, epoch: u32) -> Tensor {
        let images = &batch.input;
        let (side_px, keys) = (images.size()[1] as usize, &batch.plan.keys);
        let augment = self.config.augment.as_ref();
        let epoch = batch.plan.augmented_for(epoch);
        let drawn = augment.map(|a| augment::draw(a, side_px, self.config.seed, epoch, keys));
        augment::prepare(images, drawn.as_ref())
    }

    /// Writes a checkpoint of the run as it stands.
    fn checkpoint(&mut self) -> Result<()> {
        self.journal
            .settle(&mut self.state, &self.run, self.dataset)?;
        self.journal.metrics.sync()?;
        ensure!(
            self.learner.is_finite(),
            "the weights are not finite after step {} (epoch {}), so no checkpoint is written of them; lower optimizer.lr, raise schedule.warmup_steps or set optimizer.clip_norm; the last checkpoint is untouched",
            self.state.steps_done,
            self.state.epochs_done
        );
        let contents = Contents {
            state: &self.state,
            history: &self.history,
            model: self.learner.model_state(),
            optimizer: self.learner.training_state(),
        };
        let keep_every = self.config.checkpoint.every_epochs;
        publish(&self.run.checkpoints(), &contents, keep_every)
    }

    /// The signal that came, if one did.
    pub(super) fn interrupted(&self) -> Option<Interrupted> {
        let step = self.state.steps_done;
        let signal = self.interrupts.received()?;
        let ended =
            format!("the run after step {step}; its checkpoint is written, continue with --resume");
        Some(Interrupted { signal, ended })
    }
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
        if let Some(map_at_r) = v.map_at_r {
            line += &format!(", MAP@R {map_at_r:.4}");
        }
        line += &format!(", F1 {:.4} at {:.3}", v.f1, v.threshold);
    }
    line + &format!(", {images_per_sec:.0} images/s")
}
