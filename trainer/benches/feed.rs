//! `make bench-train`: feeding and stepping on the CPU beside Python, in one run. Every side is measured once per round, one
//! after the other, so that what else the machine does falls on all of them alike; the peers are those of `peers.py`.
//!
//! Times are seconds on the wall: all sides may use every core. All files lie in the page cache.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use logodex_dataset::Dataset;
use logodex_schemas::dataset::Region;
use logodex_schemas::train::{AugmentConfig, OptimizerConfig, OptimizerKind, TrainConfig};
use logodex_trainer::data::batch::BatchPlan;
use logodex_trainer::data::loader::{self, Source};
use logodex_trainer::model::{EmbeddingNet, Mode};
use logodex_trainer::optim::{Optimizer, zero_grad};
use logodex_trainer::{augment, config, torch};
use rand::seq::SliceRandom;
use serde::Serialize;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// Measures feeding and training steps and their peers.
#[derive(Parser)]
struct Options {
    /// A dataset of pictures, raw, 224 px
    #[arg(long)]
    large: PathBuf,
    /// The same at 64 px
    #[arg(long)]
    small: PathBuf,
    /// The raw tree that they were built from
    #[arg(long)]
    raw: PathBuf,
    /// A Python that has what `requirements.txt` lists
    #[arg(long)]
    python: PathBuf,
    /// A folder for what a peer must write
    #[arg(long, default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Pictures of a pass
    #[arg(long, default_value_t = 512)]
    pictures: usize,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the numbers go
    #[arg(long)]
    json: PathBuf,
    /// `cargo bench` says it
    #[arg(long, hide = true)]
    bench: bool,
}

/// Pictures of a batch in the feeding tables.
const BATCH: usize = 64;
/// Our passes over the pictures in a round, since one is short.
const PASSES: usize = 4;
/// Architecture, side, batch, steps in a round.
const STEPS: [(&str, usize, usize, usize); 2] = [("resnet18", 64, 64, 3), ("resnet50", 224, 8, 2)];

/// A side of a comparison.
#[derive(Debug, Serialize)]
struct Side {
    name: String,
    /// Pictures or steps in a round.
    items: usize,
    /// Seconds of each round.
    rounds: Vec<f64>,
    /// Why there are none.
    missing: Option<String>,
}

impl Side {
    fn new(name: impl Into<String>, items: usize) -> Self {
        Self {
            name: name.into(),
            items,
            rounds: Vec::new(),
            missing: None,
        }
    }

    /// Seconds per item: least, median, most.
    fn seconds(&self) -> [f64; 3] {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        [0, sorted.len() / 2, sorted.len() - 1].map(|i| sorted[i] / self.items as f64)
    }

    fn median(&self) -> f64 {
        self.seconds()[1]
    }

    fn time(&mut self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        work()?;
        self.rounds.push(began.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The process of `peers.py`.
struct Peers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peers {
    fn start(options: &Options, threads: usize) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.py");
        let mut child = Command::new(&options.python)
            .args([&script, &options.scratch])
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", options.python.display()))?;
        Ok(Self {
            to: child.stdin.take().context("no stdin")?,
            from: BufReader::new(child.stdout.take().context("no stdout")?),
            child,
        })
    }

    /// Adds a round to a peer's side, unless it is not installed.
    fn round(&mut self, side: &mut Side, request: &Value) -> Result<()> {
        writeln!(self.to, "{request}")?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)
            .with_context(|| format!("the peer {:?} failed", side.name))?;
        match answer["missing"].as_str() {
            Some(why) => side.missing = Some(why.to_owned()),
            None => side.rounds.push(answer["wall"].as_f64().context("a time")?),
        }
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        drop(self.to);
        self.child.wait()?;
        Ok(())
    }
}

/// So many rows in an order without order, in batches.
fn plans(dataset: &Dataset, pictures: usize, batch: usize) -> Vec<BatchPlan> {
    let brands: Vec<_> = dataset.brands().iter().collect();
    let mut rows = dataset.rows(&brands, Region::Both);
    rows.shuffle(&mut logodex_schemas::random::stream(1, "bench", &[]));
    let rows: Vec<u64> = rows.into_iter().cycle().take(pictures).collect();
    let plan = |rows: &[u64]| BatchPlan {
        rows: rows.to_vec(),
        keys: rows.to_vec(),
        views: Vec::new(),
        targets: Vec::new(),
        roles: 1,
    };
    rows.chunks(batch).map(plan).collect()
}

/// Passes over the batches: read, gathered and handed over; with `augmentation` also made the network's input.
fn passes(
    dataset: &Dataset,
    plans: &[BatchPlan],
    augmentation: Option<&AugmentConfig>,
    passes: usize,
) -> Result<()> {
    for epoch in 0..passes {
        std::thread::scope(|scope| -> Result<()> {
            for batch in loader::load(scope, Source::Host(dataset), plans.to_vec(), Device::Cpu) {
                let batch = batch?;
                match augmentation {
                    None => drop(black_box(batch)),
                    Some(config) => {
                        let (side, keys) = (dataset.side_px(), &batch.plan.keys);
                        let drawn = augment::draw(config, side, 1, epoch as u64, keys);
                        drop(black_box(augment::prepare(&batch.input, Some(&drawn))));
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What a run of this architecture trains.
fn configuration(arch: &str) -> Result<TrainConfig> {
    let text = format!(
        "[model]\narch = {arch:?}\nhead = \"linear\"\nl2_normalize = false\n[loss]\nkind = \"triplet\"\nmargin = 1.0\n[schedule]\nepochs = 1\n"
    );
    Ok(config::parse(text.as_bytes())?)
}

/// A network that makes steps on one batch, as `train` does: the loss is the mean square of the embeddings.
struct Stepper {
    net: EmbeddingNet,
    optimizer: Optimizer,
    images: Tensor,
    bf16: bool,
}

impl Stepper {
    fn new(arch: &str, side: usize, batch: usize, bf16: bool) -> Result<Self> {
        let config = configuration(arch)?;
        let optimizer = OptimizerConfig {
            kind: OptimizerKind::Sgd,
            ..OptimizerConfig::default()
        };
        let shape = [batch as i64, 3, side as i64, side as i64];
        let images = Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let mut stepper = Self {
            net: EmbeddingNet::new(&config.model, 1, Device::Cpu, true)?,
            optimizer: Optimizer::new(&optimizer),
            images: torch::channels_last(&images),
            bf16,
        };
        stepper.step(); // oneDNN chooses its kernels
        Ok(stepper)
    }

    fn step(&mut self) {
        zero_grad(self.net.parameters());
        let embeddings = torch::autocast_bf16(Device::Cpu, self.bf16, || {
            self.net.forward(&self.images, Mode::Train { frozen: 0 })
        });
        let loss = embeddings.to_kind(Kind::Float).square().mean(Kind::Float);
        loss.backward();
        self.optimizer.step(self.net.parameters(), |_| 1e-3);
        black_box(loss.double_value(&[]));
    }
}

/// A table of rates: pictures a second, and how many times faster the first side is.
fn rates(what: &str, sides: &[Side]) -> String {
    let head = "| images/s: median (min–max) | ours is × |\n|---|---:|---:|\n";
    let mut text = format!("| {what} {head}");
    let ours = sides[0].median();
    for side in sides {
        match &side.missing {
            Some(why) => text += &format!("| {} | not installed: {why} | |\n", side.name),
            None => {
                let [best, median, worst] = side.seconds().map(|seconds| 1.0 / seconds);
                let ratio = side.median() / ours;
                let name = &side.name;
                text += &format!("| {name} | {median:.0} ({worst:.0}–{best:.0}) | {ratio:.1} |\n");
            }
        }
    }
    text + "\n"
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// The JPEGs below a folder, in the order of their paths.
fn jpegs(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            jpegs(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "jpg") {
            into.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let options = Options::parse();
    let threads = std::thread::available_parallelism()?.get();
    torch::set_threads(threads as u32);
    let load_before = load();
    let (large, small) = (
        Dataset::open(&options.large)?,
        Dataset::open(&options.small)?,
    );
    let mut paths = Vec::new();
    jpegs(&options.raw, &mut paths)?;
    paths.shuffle(&mut logodex_schemas::random::stream(1, "bench files", &[]));
    let paths: Vec<PathBuf> = paths.into_iter().cycle().take(options.pictures).collect();
    let mut peers = Peers::start(&options, threads)?;
    let mut result = BTreeMap::new();
    let mut markdown = format!("{threads} threads, {} rounds.\n\n", options.rounds);

    let list = AugmentConfig::default();
    let n = options.pictures;
    let batches = plans(&large, n, BATCH);
    for (key, what, augmentation) in [
        (
            "feed",
            "224 px, batches of 64: read, gather, hand over",
            None,
        ),
        (
            "augment",
            "the same, and the paper's final list on the CPU",
            Some(&list),
        ),
    ] {
        let mut sides = vec![
            Side::new("**ours, from raw shards**", n * PASSES),
            Side::new("PyTorch DataLoader, Pillow, torchvision: in the process", n),
            Side::new("the same, 2 workers", n),
            Side::new("FFCV, 2 workers (decoding; of the list only the flip)", n),
        ];
        passes(&large, &batches, augmentation, 1)?; // maps, checks each CRC-32
        for _ in 0..options.rounds {
            sides[0].time(|| passes(&large, &batches, augmentation, PASSES))?;
            for (side, (task, workers)) in
                (sides[1..].iter_mut()).zip([("loader", 0), ("loader", 2), ("ffcv", 2)])
            {
                let request = json!({"task": task, "paths": paths, "side": 224, "batch": BATCH,
                    "augment": augmentation.is_some(), "workers": workers});
                peers.round(side, &request)?;
            }
        }
        markdown += &rates(what, &sides);
        result.insert(key, json!(sides));
    }

    markdown += "| one training step, SGD, channels-last | ours, ms: median (min–max) | PyTorch, ms | ours / PyTorch | loading, augmenting and copying of a batch, ms | share of our step |\n|---|---:|---:|---:|---:|---:|\n";
    let mut steps = Vec::new();
    for (arch, side, batch, count) in STEPS {
        let dataset = if side == 64 { &small } else { &large };
        let feeding = plans(dataset, batch * 16, batch);
        for bf16 in [false, true] {
            let precision = if bf16 { "bf16" } else { "fp32" };
            let mut stepper = Stepper::new(arch, side, batch, bf16)?;
            let mut sides = [
                Side::new(format!("ours {arch} {precision}"), count),
                Side::new(format!("PyTorch {arch} {precision}"), count),
                Side::new(format!("feeding {arch}"), feeding.len() * PASSES),
            ];
            for _ in 0..options.rounds {
                sides[0].time(|| {
                    (0..count).for_each(|_| stepper.step());
                    Ok(())
                })?;
                let request = json!({"task": "steps", "arch": arch, "side": side, "batch": batch,
                    "bf16": bf16, "count": count});
                peers.round(&mut sides[1], &request)?;
                sides[2].time(|| passes(dataset, &feeding, Some(&list), PASSES))?;
            }
            let ms = |side: &Side| {
                let [best, median, worst] = side.seconds().map(|seconds| seconds * 1e3);
                format!("{median:.1} ({best:.1}–{worst:.1})")
            };
            markdown += &format!(
                "| {arch} at {side} px, batch {batch}, {precision} | {} | {} | {:.3} | {} | {:.1} % |\n",
                ms(&sides[0]),
                ms(&sides[1]),
                sides[0].median() / sides[1].median(),
                ms(&sides[2]),
                100.0 * sides[2].median() / sides[0].median()
            );
            steps.push(json!(sides));
        }
    }
    result.insert("steps", json!(steps));
    peers.stop()?;

    let loads = [load_before, load()];
    markdown += &format!(
        "\nFeeding is measured alone, on all threads, as if nothing of it overlapped with the step. Load average before and after: {}.\n",
        loads.join(", ")
    );
    result.insert("load", json!(loads));
    std::fs::write(&options.json, serde_json::to_vec_pretty(&result)?)?;
    println!("{markdown}");
    Ok(())
}
