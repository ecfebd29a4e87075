//! Images per second of training with frozen stages computed in every step, and with what they gave read from a file
//! (`runtime.feature_cache_gib`), at each freeze level:
//!
//!     cargo bench --workspace --bench cached_features -- --arch efficientnet_lite0
//!
//! Pictures are noise in memory, augmented in every step where nothing is kept; the file lies in the page cache. A step is
//! forward, loss, backward and optimiser, with a linear head and cross-entropy over 100 classes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use logodex_schemas::train::{AugmentConfig, TrainConfig};
use logodex_trainer::data::batch::BatchPlan;
use logodex_trainer::data::feature_file::{FeatureFile, FeatureWriter, Layout};
use logodex_trainer::data::loader::{Source, load};
use logodex_trainer::model::{Mode, Parameter};
use logodex_trainer::optim::schedule::rate;
use logodex_trainer::optim::zero_grad;
use logodex_trainer::runtime::Runtime;
use logodex_trainer::train::Learner;
use logodex_trainer::{augment, config, torch};
use tch::{Kind, Tensor};

/// Measures cached features.
#[derive(Parser)]
struct Options {
    /// As `model.arch`
    #[arg(long, default_value = "efficientnet_lite0")]
    arch: String,
    /// Side of a picture
    #[arg(long, default_value_t = 224)]
    side: usize,
    /// Pictures of a step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Steps of a round
    #[arg(long, default_value_t = 2)]
    steps: usize,
    /// Rounds, of which the fastest counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// `cargo bench` says it
    #[arg(long, hide = true)]
    bench: bool,
}

const CLASSES: usize = 100;

fn main() -> Result<()> {
    let options = Options::parse();
    println!(
        "{}, {} px, batches of {}: images/s",
        options.arch, options.side, options.batch
    );
    println!("| frozen | a view's output | every step | from the file | computing the file |");
    println!("|---:|---:|---:|---:|---:|");
    let mut every_step = measure(&options, 0, None)?;
    println!("| 0 | – | {:.0} | – | – |", every_step.train);
    for level in 1..=5 {
        every_step = measure(&options, level, None)?;
        let folder = scratch()?;
        let cached = measure(&options, level, Some(&folder))?;
        println!(
            "| {level} | {:.0} KB | {:.0} | {:.0} | {:.0} |",
            cached.output_bytes as f64 / 1e3,
            every_step.train,
            cached.train,
            cached.compute
        );
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

fn scratch() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("logodex-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Images per second.
struct Speed {
    train: f64,
    compute: f64,
    output_bytes: usize,
}

/// At a freeze level: with what the frozen stages give in a file in `folder`, or without.
fn measure(options: &Options, level: u8, folder: Option<&Path>) -> Result<Speed> {
    let text = format!(
        "[model]\narch = {:?}\nhead = \"linear\"\n[loss]\nkind = \"norm_softmax\"\ntemperature = 0.05\n[schedule]\nepochs = 1\nfreeze = {level}",
        options.arch
    );
    let config = config::parse(text.as_bytes())?;
    let runtime = Runtime::start(&config.runtime)?;
    let mut learner = Learner::new(&config, CLASSES, &runtime)?;
    let (side, batch) = (options.side as i64, options.batch as i64);
    torch::manual_seed(1);
    let pictures = Tensor::randint(256, [batch, side, side, 3], (Kind::Uint8, runtime.device));
    let prepare = || {
        let keys: Vec<u64> = (0..batch as u64).collect();
        let drawn = augment::draw(&AugmentConfig::default(), options.side, 1, 0, &keys);
        augment::prepare(&pictures, Some(&drawn))
    };
    let classes: Vec<i64> = (0..batch).map(|i| i % CLASSES as i64).collect();
    let targets = runtime.i64_tensor(&classes);
    let mode = Mode::Train { frozen: level };
    let images = options.steps as f64 * batch as f64;
    let mut speed = Speed {
        train: 0.0,
        compute: 0.0,
        output_bytes: 0,
    };
    let step = |learner: &mut Learner, embeddings: &dyn Fn(&Learner) -> Tensor| {
        zero_grad(&learner.parameters);
        let embeddings = embeddings(learner);
        let loss = learner.loss(&config, &embeddings, &targets, 0, 0);
        loss.backward();
        finish_step(learner, &config);
        loss.double_value(&[])
    };
    let Some(folder) = folder else {
        for _ in 0..=options.rounds {
            let began = Instant::now();
            for _ in 0..options.steps {
                let loss = step(&mut learner, &|learner| {
                    learner.net.forward(&prepare(), mode)
                });
                anyhow::ensure!(loss.is_finite(), "the loss is {loss}");
            }
            speed.train = speed.train.max(images / began.elapsed().as_secs_f64());
        }
        return Ok(speed);
    };

    let compute = || tch::no_grad(|| learner.net.frozen_output(&prepare(), level));
    let output = compute();
    let layout = Layout {
        level,
        made_from: String::new(),
        rows: (0..batch as u64).collect(),
        views: options.steps as u32,
        kind: output.kind(),
        shape: output.size()[1..].to_vec(),
    };
    speed.output_bytes = layout.output_bytes();
    let path = folder.join("features.safetensors");
    let mut writer = FeatureWriter::create(&path, layout.clone())?;
    let began = Instant::now();
    for _ in 0..options.steps {
        writer.push(&compute())?;
    }
    writer.finish()?;
    speed.compute = images / began.elapsed().as_secs_f64();
    let file = FeatureFile::open(&path, layout)?.context("the file that was written")?;
    for _ in 0..=options.rounds {
        let plans = (0..options.steps as u32).map(|view| BatchPlan {
            rows: (0..batch as u64).collect(),
            keys: Vec::new(),
            views: vec![view; options.batch],
            targets: classes.clone(),
            roles: 1,
        });
        let plans = plans.collect();
        let began = Instant::now();
        std::thread::scope(|scope| -> Result<()> {
            for read in load(scope, Source::Features(&file), plans, runtime.device) {
                let read = read?;
                let loss = step(&mut learner, &|learner| {
                    learner.net.forward_from(&read.input, level, mode)
                });
                anyhow::ensure!(loss.is_finite(), "the loss is {loss}");
            }
            Ok(())
        })?;
        speed.train = speed.train.max(images / began.elapsed().as_secs_f64());
    }
    Ok(speed)
}

fn finish_step(learner: &mut Learner, config: &TrainConfig) {
    let of = |p: &Parameter| rate(&config.optimizer, 1e-3, p.group);
    learner.optimizer.step(&learner.parameters, of);
}
