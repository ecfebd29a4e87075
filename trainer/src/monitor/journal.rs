//! Tells of a run step by step: metrics, warnings, the progress bar, and the reason where it must stop.
//!
//! A step's numbers lie on the device. Reading one makes the host wait for it, so on CUDA they are read one step late,
//! while the next is computed; on the CPU at once. [`Journal::settle`] reads all of them: before a checkpoint, so that
//! none is written of weights that are not finite.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};
use logodex_dataset::Dataset;
use logodex_program::durable::write_whole;
use logodex_program::progress::ImageProgress;
use logodex_schemas::run::{
    LearningRates, MetricsLine, MonitorReading, RunState, Stopped, StoppedRow, stopped_header,
};
use tch::{Device, Tensor};

use super::collapse::CollapseMonitor;
use super::metrics::Metrics;
use crate::data::batch::BatchPlan;
use crate::run::Run;

/// A step of the optimiser, its numbers still on the device.
#[derive(Debug)]
pub struct StepRecord {
    /// 0-based epoch.
    pub epoch: u32,
    /// Steps taken, this one included.
    pub step: u64,
    /// The rates it was taken at.
    pub lr: LearningRates,
    /// The mean loss of each of its batches, a scalar, and that batch.
    pub batches: Vec<(Tensor, BatchPlan)>,
    /// Norm of the gradient, a scalar.
    pub grad_norm: Tensor,
    /// What the monitor saw, where it looked.
    pub reading: Option<MonitorReading>,
}

/// The files and the bar of a run, and the steps not yet told.
#[derive(Debug)]
pub struct Journal {
    /// `metrics.jsonl` and the event file.
    pub metrics: Metrics,
    /// The bar.
    pub progress: ImageProgress,
    monitor: CollapseMonitor,
    pending: VecDeque<StepRecord>,
    lag: usize,
}

impl Journal {
    /// Continues the journal of a run that stands at `state`.
    ///
    /// # Errors
    /// The disk.
    pub fn open(
        run: &Run,
        state: &RunState,
        device: Device,
        progress: ImageProgress,
    ) -> Result<Self> {
        let metrics = Metrics::open(run.dir(), state)?;
        Ok(Self {
            monitor: CollapseMonitor::resume(metrics.lines()),
            metrics,
            progress,
            pending: VecDeque::new(),
            lag: usize::from(device.is_cuda()),
        })
    }

    /// Takes a step and tells those that are due; adds their losses to `state`.
    ///
    /// # Errors
    /// A loss or a gradient that is no finite number, with `stopped.json` written; the disk.
    pub fn step(
        &mut self,
        record: StepRecord,
        state: &mut RunState,
        run: &Run,
        dataset: &Dataset,
    ) -> Result<()> {
        self.pending.push_back(record);
        self.tell(self.lag, state, run, dataset)
    }

    /// Tells every step that is left.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn settle(&mut self, state: &mut RunState, run: &Run, dataset: &Dataset) -> Result<()> {
        self.tell(0, state, run, dataset)
    }

    fn tell(
        &mut self,
        leave: usize,
        state: &mut RunState,
        run: &Run,
        dataset: &Dataset,
    ) -> Result<()> {
        while self.pending.len() > leave
            && let Some(record) = self.pending.pop_front()
        {
            let (mut sum, mut samples, mut images) = (0.0, 0.0, 0);
            for (loss, plan) in &record.batches {
                let (loss, n) = (loss.double_value(&[]), plan.samples());
                sum += loss * n as f64;
                samples += n as f64;
                images += plan.rows.len() as u64;
                state.epoch_loss_sum += loss * n as f64;
                state.epoch_samples += n as u64;
            }
            let loss = sum / samples;
            let grad_norm = record.grad_norm.double_value(&[]);
            if !loss.is_finite() || !grad_norm.is_finite() {
                return Err(stop(&record, loss, grad_norm, run, dataset));
            }
            let (epoch, step) = (record.epoch, record.step);
            self.progress.advance(images, Some(loss));
            self.metrics.write(MetricsLine::Step {
                epoch,
                step,
                loss,
                lr: record.lr,
                grad_norm,
                monitor: record.reading,
                images_per_sec: self.progress.rate(),
            })?;
            let warnings = record
                .reading
                .map(|reading| self.monitor.see(loss, grad_norm, &reading));
            for (cause, message) in warnings.into_iter().flatten() {
                self.progress
                    .warn(&format!("step {step} (epoch {epoch}): {message}"));
                self.metrics.write(MetricsLine::Warning {
                    epoch,
                    step,
                    cause,
                    message,
                })?;
            }
        }
        Ok(())
    }
}

/// Why the run cannot go on, with the pictures of the step in `stopped.json`.
fn stop(
    record: &StepRecord,
    loss: f64,
    grad_norm: f64,
    run: &Run,
    dataset: &Dataset,
) -> anyhow::Error {
    const NAMED: usize = 24;
    let rows: Vec<u64> = record
        .batches
        .iter()
        .flat_map(|(_, plan)| plan.rows.iter().copied())
        .collect();
    let stopped = Stopped {
        header: stopped_header(),
        epoch: record.epoch,
        step: record.step,
        loss: loss.to_string(),
        grad_norm: grad_norm.to_string(),
        rows: rows
            .iter()
            .map(|&row| {
                let brand = &dataset.brands()[dataset.brand_of(row) as usize];
                StoppedRow {
                    row,
                    category: brand.category.clone(),
                    brand: brand.brand.clone(),
                    image: dataset.image_of(row),
                }
            })
            .collect(),
    };
    let path = run.dir().join("stopped.json");
    let written = serde_json::to_vec_pretty(&stopped)
        .map_err(anyhow::Error::from)
        .and_then(|json| write_whole(&path, &json));
    let named: Vec<String> = rows.iter().take(NAMED).map(u64::to_string).collect();
    let rest = match rows.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let what = match loss.is_finite() {
        true => format!("the gradient's norm is {grad_norm}"),
        false => format!("the loss is {loss}"),
    };
    let told = match written {
        Ok(()) => format!("all of them with their brands are in {}", path.display()),
        Err(error) => format!("{error:#}"),
    };
    anyhow!(
        "{what} at step {} (epoch {}), rows {}{rest} ({told}; `logodex-data why DATASET \"row N\"` tells where a row comes from); lower optimizer.lr, raise schedule.warmup_steps or set optimizer.clip_norm; the last checkpoint is untouched",
        record.step,
        record.epoch,
        named.join(", ")
    )
}
