//! One training step as `fit` takes it, apart from a run: for timing.

use anyhow::{Context, Result};
use logodex_dataset::Dataset;
use logodex_schemas::device::BenchRow;
use logodex_schemas::random::derive;
use logodex_schemas::train::TrainConfig;
use tch::{Device, Kind, Tensor};

use super::arithmetic::Arithmetic;
use crate::data::batch::{BatchPlan, Samples};
use crate::data::loader::Batch;
use crate::model::{Mode, Parameter};
use crate::optim::schedule::rate;
use crate::optim::zero_grad;
use crate::runtime::Runtime;
use crate::train::Learner;
use crate::{augment, config, torch};
use logodex_sampling::{FoldRows, Pair};

/// What a row of the table trains, ready to step.
pub(super) struct Workload {
    pub(super) config: TrainConfig,
    pub(super) runtime: Runtime,
    pub(super) learner: Learner,
    mode: Mode,
    steps_done: u64,
}

/// The experiment that is timed: the paper's contrastive head, loss and optimiser. `batch` counts pictures, of which
/// two make a pair.
pub(super) fn experiment(row: &BenchRow, arch: &str, batch: u32) -> Result<TrainConfig> {
    let text = format!(
        "[model]\narch = \"{arch}\"\nhead = \"contrastive\"\n[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n\
         [optimizer]\nkind = \"sgd\"\nlr = 1e-2\nmomentum = 0.9\n[schedule]\nepochs = 1\nfreeze = {}\n\
         [data]\nbatch = {}\n{}",
        row.freeze,
        batch / 2,
        if row.augmented { "[augment]\n" } else { "" }
    );
    Ok(config::parse(text.as_bytes())?)
}

impl Workload {
    /// Initialises the network and puts the row's arithmetic in force.
    pub(super) fn new(config: TrainConfig, arithmetic: Arithmetic) -> Result<Self> {
        let runtime = arithmetic.start()?;
        let learner = Learner::new(&config, 2, &runtime)?;
        let mode = Mode::Train {
            frozen: config.schedule.freeze,
        };
        Ok(Self {
            config,
            runtime,
            learner,
            mode,
            steps_done: 0,
        })
    }

    /// Forward, loss, backward, optimiser; returns the loss, for which nothing has waited. `images`: `[2 × B, 3, S, S]`,
    /// normalised; `targets`: `[B]`.
    pub(super) fn step(&mut self, images: &Tensor, targets: &Tensor) -> Tensor {
        let Self {
            config,
            runtime,
            learner,
            ..
        } = self;
        crate::torch::manual_seed(derive(config.seed, "dropout", &[self.steps_done]) as i64);
        let embeddings = torch::autocast_bf16(runtime.device, runtime.bf16, || {
            learner.net.forward(images, self.mode)
        });
        let loss = learner.loss(config, &embeddings, targets, 0, self.steps_done);
        zero_grad(&learner.parameters);
        loss.backward();
        let rate = |p: &Parameter| rate(&config.optimizer, 1.0, p.group);
        learner.optimizer.step(&learner.parameters, rate);
        self.steps_done += 1;
        loss.detach()
    }

    /// The step of a batch from the dataset, its pictures prepared on the device.
    pub(super) fn step_batch(&mut self, batch: &Batch) -> Tensor {
        let side = batch.input.size()[1] as usize;
        let drawn = self.config.augment.as_ref().map(|config| {
            let seed = self.config.seed;
            augment::draw(config, side, seed, 0, &batch.plan.keys)
        });
        let images = augment::prepare(&batch.input, drawn.as_ref());
        let targets = self.runtime.i64_tensor(&batch.plan.targets);
        self.step(&images, &targets)
    }
}

/// A fixed batch of floats on the device and its targets, the same on every device.
pub(super) fn synthetic(batch: u32, side: u32, device: Device) -> (Tensor, Tensor) {
    let (batch, side) = (i64::from(batch), i64::from(side));
    crate::torch::manual_seed(1);
    let images = Tensor::randn([batch, 3, side, side], (Kind::Float, Device::Cpu));
    let targets: Vec<i64> = (0..batch / 2).map(|i| i % 2).collect();
    let targets = Tensor::from_slice(&targets);
    (images.to_device(device), targets.to_device(device))
}

/// At least `n` batches of pairs of `fold`, over as many epochs as it takes; none of them a smaller last one.
///
/// # Errors
/// A fold of which no whole batch can be drawn.
pub(super) fn plans(config: &TrainConfig, fold: &FoldRows, n: usize) -> Result<Vec<BatchPlan>> {
    let size = config.data.batch as usize;
    let mut plans = Vec::new();
    let mut rows: Vec<Pair> = Vec::new();
    for epoch in 0.. {
        let Samples::Pairs(drawn) = Samples::draw(config, fold, epoch) else {
            unreachable!("the loss that is timed takes pairs")
        };
        if drawn.is_empty() {
            break;
        }
        rows.extend(drawn);
        let whole = rows.len() / size * size;
        plans.extend(Samples::Pairs(rows.drain(..whole).collect()).batches(size));
        if plans.len() >= n {
            return Ok(plans);
        }
    }
    None.context("the split's training brands yield no pairs")
}

/// The rows that are timed: every row of the training brands of `split`.
pub(super) fn training_rows(dataset: &Dataset, split: &str) -> Result<FoldRows> {
    use logodex_schemas::{dataset::Region, split::Fold};
    let split = dataset.split(split)?;
    let brands = dataset.fold(&split, Fold::Train);
    Ok(FoldRows::new(dataset, &brands, Region::Both))
}
