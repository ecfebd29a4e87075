//! Checks the device's arithmetic against the CPU's in fp32: from the same weights and pictures, the forward pass, the
//! gradients, BatchNorm's statistics, every loss, the optimisers and the augmentation.
//!
//! Distances are ‖x − reference‖ / ‖reference‖ in fp64. Bounds leave room for another order of summation and no more:
//! TensorFloat-32 left on by mistake breaks fp32's, and bf16's has a lower end that an autocast without effect misses.

mod optimizers;
mod outcome;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use logodex_schemas::random::stream;
use logodex_schemas::train::{
    Arch, AugmentConfig, DeviceChoice, Precision, SamplerKind, TrainConfig,
};
use rand::Rng;
use tch::{Kind, Tensor};

use super::arithmetic::{Arithmetic, layout_name, precision_name};
use super::findings::Findings;
use crate::loss::distance::l2_normalize;
use crate::model::Group;
use crate::runtime::Runtime;
use crate::train::Learner;
use crate::{augment, config};
use outcome::{CLASSES, Outcome, exact, outcome, relative, relative_of_all};

const SEED: u64 = 7;
/// Every loss, as configurations write it, with its authors' constants.
const LOSSES: [&str; 9] = [
    "kind = \"triplet\"\nmargin = 1.0",
    "kind = \"contrastive_euclidean\"\nmargin = 1.0",
    "kind = \"contrastive_cosine\"\nmargin = 0.2",
    "kind = \"norm_softmax\"\ntemperature = 0.05",
    "kind = \"multi_similarity\"\nalpha = 2.0\nbeta = 50.0\nbase = 0.5",
    "kind = \"proxy_anchor\"\nmargin = 0.1\nalpha = 32.0",
    "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 64.0\nsub_centers = 2",
    "kind = \"sup_con\"\ntemperature = 0.1",
    "kind = \"circle\"\nmargin = 0.25\ngamma = 80.0",
];
/// The one that the network is trained with here: smooth, and it has weights of its own.
const TRAINED_LOSS: &str = LOSSES[3];

/// What the arithmetic is checked on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) arch: Arch,
    pub(super) side: i64,
    pub(super) batch: i64,
}

/// The bounds of one arithmetic.
struct Bounds {
    least: Option<f64>,
    forward: f64,
    gradients: f64,
    statistics: f64,
}

fn bounds(precision: Precision) -> Bounds {
    let (least, forward, gradients, statistics) = match precision {
        Precision::Fp32 => (None, 1e-4, 2e-2, 1e-4),
        Precision::Tf32 => (None, 2e-2, 2e-1, 2e-2),
        // bf16 has 8 bits of precision: a pass that never leaves fp32 would differ by less than the least.
        Precision::Bf16 => (Some(1e-4), 6e-2, 7e-1, 6e-2),
    };
    Bounds {
        least,
        forward,
        gradients,
        statistics,
    }
}

/// Runs every check of this file; `device` names the device, and is otherwise the arithmetic to begin with.
pub(super) fn check(findings: &mut Findings, device: Arithmetic, sizes: Sizes) -> Result<()> {
    let reference = Arithmetic {
        device: DeviceChoice::Cpu,
        precision: Precision::Fp32,
        channels_last: false,
        ..device
    };
    let config = experiment(sizes.arch, TRAINED_LOSS)?;
    let pictures = pictures(sizes);
    let runtime = reference.start()?;
    let mut cpu = learner(&config, &runtime)?;
    let expected = outcome(&mut cpu, &config, &runtime, &pictures, 0);

    for (precision, channels_last) in [
        (Precision::Fp32, true),
        (Precision::Fp32, false),
        (Precision::Tf32, true),
        (Precision::Bf16, true),
        (Precision::Bf16, false),
    ] {
        let arithmetic = Arithmetic {
            precision,
            channels_last,
            ..device
        };
        let runtime = arithmetic.start()?;
        let mut learner = learner(&config, &runtime)?;
        let found = outcome(&mut learner, &config, &runtime, &pictures, 0);
        let name = format!(
            "{} {}",
            precision_name(precision),
            layout_name(channels_last)
        );
        compare(findings, &name, &found, &expected, &bounds(precision));
    }

    let runtime = device.start()?;
    let mut there = learner(&config, &runtime)?;
    optimizers::check(findings, (&mut cpu, &mut there), &config, &pictures)?;
    losses(findings, reference, device)?;
    augmentation(findings, device, &pictures)?;
    dropout(findings, device)
}

/// An experiment with this loss that trains `arch` with a linear head.
fn experiment(arch: Arch, loss: &str) -> Result<TrainConfig, logodex_program::Failure> {
    let arch = serde_json::to_string(&arch).unwrap_or_default();
    let text = format!(
        "seed = {SEED}\n[model]\narch = {arch}\nhead = \"linear\"\n[loss]\n{loss}\n[schedule]\nepochs = 1\n[data]\nbatch = 32"
    );
    config::parse(text.as_bytes())
}

/// The learner at its start, the last BatchNorm of every block scaled to a fifth: a random ResNet-50 blows rounding up
/// (bf16's to a third of its embeddings), a trained one does not.
fn learner(config: &TrainConfig, runtime: &Runtime) -> Result<Learner> {
    let learner = Learner::new(config, CLASSES as usize, runtime)?;
    let last = match config.model.arch {
        Arch::Resnet50 => ".bn3.weight",
        Arch::Resnet18 | Arch::Resnet34 => ".bn2.weight",
        Arch::EfficientnetLite0 | Arch::EfficientnetLite1 | Arch::EfficientnetLite2 => {
            "._bn2.weight"
        }
    };
    for parameter in learner.parameters.iter().filter(|p| p.name.ends_with(last)) {
        let _ = tch::no_grad(|| parameter.tensor.shallow_clone().g_mul_scalar_(0.2));
    }
    Ok(learner)
}

/// `[B, S, S, 3]` u8 on the CPU: each picture a colour of its own under noise.
fn pictures(sizes: Sizes) -> Tensor {
    let mut rng = stream(SEED, "selfcheck", &[]);
    let per_picture = (sizes.side * sizes.side * 3) as usize;
    let mut bytes = Vec::with_capacity(per_picture * sizes.batch as usize);
    for _ in 0..sizes.batch {
        let colour: [u8; 3] = rng.random();
        bytes.extend((0..per_picture).map(|i| colour[i % 3] / 2 + rng.random::<u8>() / 2));
    }
    Tensor::from_slice(&bytes).view([sizes.batch, sizes.side, sizes.side, 3])
}

fn compare(
    findings: &mut Findings,
    name: &str,
    found: &Outcome,
    expected: &Outcome,
    bounds: &Bounds,
) {
    let forward = |found, expected| {
        (
            relative(found, expected),
            bounds.least,
            Some(bounds.forward),
        )
    };
    for (what, (measured, least, most), detail) in [
        (
            "forward, evaluation mode",
            forward(&found.embeddings_eval, &expected.embeddings_eval),
            "embeddings, relative distance",
        ),
        (
            "forward, training mode",
            forward(&found.embeddings_train, &expected.embeddings_train),
            "embeddings, relative distance",
        ),
        (
            "gradients",
            (
                relative_of_all(&found.gradients, &expected.gradients),
                bounds.least,
                Some(bounds.gradients),
            ),
            "of all parameters, relative distance",
        ),
        (
            "BatchNorm's statistics",
            (
                relative_of_all(&found.statistics, &expected.statistics),
                None,
                Some(bounds.statistics),
            ),
            "running means and variances, relative distance",
        ),
        (
            "loss",
            (
                (found.loss / expected.loss - 1.0).abs(),
                None,
                Some(bounds.forward),
            ),
            "relative difference",
        ),
    ] {
        findings.within(&format!("{name}: {what}"), measured, least, most, detail);
    }
}

/// Every loss, with its gradients in the embeddings and in its own weights.
fn losses(findings: &mut Findings, reference: Arithmetic, device: Arithmetic) -> Result<()> {
    for loss in LOSSES {
        let name = loss.split('"').nth(1).unwrap_or(loss);
        let config = experiment(Arch::Resnet18, loss)?;
        let (value, gradients) = loss_outcome(&config, reference)?;
        let (found, found_gradients) = loss_outcome(&config, device)?;
        let difference = (found / value - 1.0).abs();
        let name = format!("loss {name}");
        findings.at_most(&name, difference, 1e-5, "value, relative difference");
        findings.at_most(
            &format!("{name}: gradients"),
            relative_of_all(&found_gradients, &gradients),
            1e-4,
            "in embeddings and own weights, relative distance",
        );
    }
    Ok(())
}

fn loss_outcome(
    config: &TrainConfig,
    arithmetic: Arithmetic,
) -> Result<(f64, BTreeMap<String, Tensor>)> {
    const BATCH: i64 = 32;
    let runtime = arithmetic.start()?;
    let mut learner = Learner::new(config, CLASSES as usize, &runtime)?;
    let (roles, targets): (i64, Vec<i64>) = match config.sampler() {
        SamplerKind::Triplets => (3, vec![]),
        SamplerKind::Pairs => (2, (0..BATCH).map(|i| i % 2).collect()),
        _ => (1, (0..BATCH).map(|i| i / 4 % CLASSES).collect()),
    };
    let shape = [roles * BATCH, learner.net.embedding_dim()];
    let mut rng = stream(SEED, "embeddings", &[]);
    let numbers: Vec<f32> = (0..shape[0] * shape[1])
        .map(|_| rng.random::<f32>() - 0.5)
        .collect();
    let drawn = Tensor::from_slice(&numbers)
        .view(shape)
        .to_device(runtime.device);
    let embeddings = drawn.set_requires_grad(true);
    let normalized = l2_normalize(&embeddings);
    let loss = learner.loss(config, &normalized, &runtime.i64_tensor(&targets), 0, 0);
    loss.backward();
    let own = learner.parameters.iter().filter(|p| p.group == Group::Loss);
    let mut gradients: BTreeMap<String, Tensor> = own
        .map(|p| (p.name.clone(), exact(&p.tensor.grad())))
        .collect();
    gradients.insert("embeddings".to_owned(), exact(&embeddings.grad()));
    Ok((loss.double_value(&[]), gradients))
}

/// The paper's augmentation, drawn once, applied by the CPU's loops, by the tensor operations and, on a GPU, by its kernels;
/// under TF32, which must not reach the coordinates.
fn augmentation(findings: &mut Findings, device: Arithmetic, pictures: &Tensor) -> Result<()> {
    let runtime = Arithmetic {
        precision: Precision::Tf32,
        ..device
    }
    .start()?;
    let keys: Vec<u64> = (0..pictures.size()[0] as u64).collect();
    let side = pictures.size()[1] as usize;
    let drawn = augment::draw(&AugmentConfig::default(), side, SEED, 0, &keys);
    let there = pictures.to_device(runtime.device);
    let expected = exact(&augment::prepare(pictures, Some(&drawn)));
    let mut compare = |name: &str, found: &Tensor| {
        let apart = (exact(found) - &expected).abs().mean(Kind::Double);
        // Prepared pictures are in units of ImageNet's standard deviation, 0.226 of the range on average.
        let mean = 0.226 * apart.double_value(&[]);
        findings.at_most(name, mean * 255.0, 0.05, "mean difference, of 255");
    };
    let operations = augment::tensors::prepare(&there, Some(&drawn));
    compare("augmentation, tf32", &operations);
    if runtime.device.is_cuda() {
        let kernels = augment::kernel::prepare(&there, &drawn);
        let kernels = kernels.context("the augmentation's CUDA kernels cannot be used")?;
        compare("augmentation, kernels", &kernels);
    }
    Ok(())
}

/// Dropout draws the same numbers from the same seed, and others from another.
fn dropout(findings: &mut Findings, device: Arithmetic) -> Result<()> {
    let runtime = device.start()?;
    let ones = Tensor::ones([64, 64], (Kind::Float, runtime.device));
    let draw = |seed| {
        crate::torch::manual_seed(seed);
        ones.dropout(0.3, true)
    };
    let (first, again, other) = (draw(1), draw(1), draw(2));
    let share = |a: &Tensor, b: &Tensor| {
        let differ = a.ne_tensor(b).to_kind(Kind::Double);
        differ.mean(Kind::Double).double_value(&[])
    };
    let detail = "share of values that differ under one seed";
    findings.at_most("dropout repeats", share(&first, &again), 0.0, detail);
    let detail = "share of values that differ under two seeds";
    findings.within(
        "dropout varies",
        share(&first, &other),
        Some(0.1),
        None,
        detail,
    );
    Ok(())
}

#[cfg(test)]
mod tests;
