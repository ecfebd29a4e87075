//! `logodex-train bench`: images per second of the training step, beside the same step in Python PyTorch.
//!
//! Every row is timed once per round, so that a machine that slows down slows all of them. A window begins after
//! warm-up steps and a synchronisation and ends with one; the rows come in the order of their worth, and those for which
//! the time does not suffice are marked, not guessed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use logodex_dataset::Dataset;
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_program::output::{print, say};
use logodex_schemas::device::{BenchRow, Benchmark, Setup, Source, Who, bench_header};
use logodex_schemas::train::{Arch, DeviceChoice, Precision, Residency};
use tch::{Device, Tensor};

use super::arithmetic::{Arithmetic, parse_value};
use super::machine::machine;
use super::peer::{Peer, PeerWindow};
use super::step::{Workload, experiment, plans, synthetic, training_rows};
use super::{markdown, rows};
use crate::data::loader::{Resident, Source as Pictures, load};
use crate::torch;
use logodex_sampling::FoldRows;

/// Steps before the clock starts: cuDNN chooses its algorithms, the memory pool fills, torch compiles.
const WARM_UP: usize = 6;
/// What a row costs before that is known, in windows.
const FIRST_GUESS: f64 = 3.0;

/// Times the training step: precisions, layouts, sources of pictures, freeze levels, and PyTorch beside it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  logodex-train bench --device cuda --dataset data/bench --split bench --python python3 --out bench\n  logodex-train bench --device cpu --arch resnet18 --side 64 --batch 16 --seconds 2 --rounds 1"
)]
pub struct BenchArgs {
    /// cpu, cuda, or auto: CUDA where there is one.
    #[arg(long, default_value = "auto", value_parser = parse_value::<DeviceChoice>)]
    device: DeviceChoice,
    /// Dataset of raw shards, of side --side; without it the rows with real pictures are left out.
    #[arg(long, requires = "split")]
    dataset: Option<PathBuf>,
    /// Name of its split; its training brands are used.
    #[arg(long)]
    split: Option<String>,
    /// Python with torch 2.11.0; without it PyTorch's rows are left out.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Backbone.
    #[arg(long, default_value = "resnet50", value_parser = parse_value::<Arch>)]
    arch: Arch,
    /// Side of the pictures, pixels.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=1024))]
    side: u32,
    /// Pictures per step; an even number.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(4..=65_536))]
    batch: u32,
    /// Seconds of a timed window.
    #[arg(long, default_value_t = 2.5)]
    seconds: f64,
    /// Rounds: windows per row.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Minutes that all of it may take.
    #[arg(long, default_value_t = 8.0)]
    minutes: f64,
    /// CPU threads of libtorch; 0 is one per core.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    threads: u32,
    /// Directory for bench.json and bench.md.
    #[arg(long, default_value = "bench")]
    out: PathBuf,
}

/// Times every row and writes `bench.json` and `bench.md`; the table goes to standard output too.
///
/// # Errors
/// [`Failure::Usage`] for arguments that do not go together; a dataset that is not there or damaged.
pub fn bench(args: &BenchArgs) -> Result<()> {
    let began = Instant::now();
    let pictures = check(args)?;
    let device = arithmetic(args, Precision::Fp32, true, Residency::Host)
        .start()
        .map_err(|e| Failure::Usage(format!("{e:#}")))?
        .device;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut timer = Timer {
        args,
        device,
        pictures,
        peer: None,
        deadline: began + Duration::from_secs_f64(args.minutes * 60.0),
    };
    let mut rows = rows::table();
    for row in &mut rows {
        row.skipped = timer.reason_to_skip(row);
    }
    let peer_loss_difference = timer.start_peer(&mut rows);

    let mut costs: Vec<f64> = vec![args.seconds * FIRST_GUESS; rows.len()];
    // cuDNN searches longest for fp32: those rows come last, so that they take no other row's time.
    let searches_long = |row: &BenchRow| row.precision == Precision::Fp32 && device.is_cuda();
    let turns = [false, true].map(|last| (0..args.rounds).map(move |round| (last, round)));
    for (last, round) in turns.into_iter().flatten() {
        for (row, cost) in rows.iter_mut().zip(&mut costs) {
            if row.skipped.is_some() || searches_long(row) != last {
                continue;
            }
            let left = timer.deadline.saturating_duration_since(Instant::now());
            if left.as_secs_f64() < *cost {
                row.skipped = Some("the time was up".to_owned());
                continue;
            }
            let started = Instant::now();
            timer.window(row)?;
            *cost = started.elapsed().as_secs_f64();
            say(format_args!(
                "{:.0} of {:.0} s, round {} of {}: {}: {:.0} images/s\n",
                began.elapsed().as_secs_f64(),
                args.minutes * 60.0,
                round + 1,
                args.rounds,
                rows::describe(row),
                row.images_per_sec.last().unwrap_or(&f64::NAN),
            ));
        }
    }
    drop(timer);
    for row in &mut rows {
        row.median = rows::median(&row.images_per_sec);
    }
    let bench = Benchmark {
        header: bench_header(),
        setup: Setup {
            machine: machine(device),
            arch: args.arch,
            side_px: args.side,
            batch: args.batch,
        },
        window_secs: args.seconds,
        total_secs: began.elapsed().as_secs_f64(),
        goals: rows::goals(&rows, device.is_cuda()),
        rows,
        peer_loss_difference,
    };
    let mut json = serde_json::to_vec_pretty(&bench)?;
    json.push(b'\n');
    let table = markdown::render(&bench);
    write_whole(&args.out.join("bench.json"), &json)?;
    write_whole(&args.out.join("bench.md"), table.as_bytes())?;
    print(format_args!("{table}"));
    Ok(())
}

fn arithmetic(
    args: &BenchArgs,
    precision: Precision,
    channels_last: bool,
    residency: Residency,
) -> Arithmetic {
    Arithmetic {
        device: args.device,
        precision,
        channels_last,
        residency,
        threads: args.threads,
    }
}

/// Judges the arguments and opens the dataset, if there is one.
fn check(args: &BenchArgs) -> Result<Option<(Dataset, FoldRows)>> {
    for (name, value) in [("seconds", args.seconds), ("minutes", args.minutes)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(Failure::Usage(format!("--{name} {value} must be above 0")).into());
        }
    }
    if args.batch % 2 == 1 {
        let message = format!(
            "--batch {} must be even: two pictures make a pair",
            args.batch
        );
        return Err(Failure::Usage(message).into());
    }
    let (Some(dir), Some(split)) = (&args.dataset, &args.split) else {
        return Ok(None);
    };
    let dataset = Dataset::open(dir)?;
    if dataset.side_px() != args.side as usize {
        return Err(Failure::Usage(format!(
            "{}: its pictures have side {}, --side is {}",
            dir.display(),
            dataset.side_px(),
            args.side
        ))
        .into());
    }
    let rows = training_rows(&dataset, split)?;
    Ok(Some((dataset, rows)))
}

/// What the rows are timed with.
struct Timer<'a> {
    args: &'a BenchArgs,
    device: Device,
    pictures: Option<(Dataset, FoldRows)>,
    peer: Option<Peer>,
    deadline: Instant,
}

impl Timer<'_> {
    /// What is known before anything is timed.
    fn reason_to_skip(&self, row: &BenchRow) -> Option<String> {
        let reason = if row.source != Source::Synthetic && self.pictures.is_none() {
            "no --dataset"
        } else if row.who != Who::Logodex && self.args.python.is_none() {
            "no --python"
        } else if row.precision == Precision::Tf32 && !self.device.is_cuda() {
            "tf32 is fp32 on a CPU"
        } else if row.who == Who::Compiled && !self.device.is_cuda() {
            "compiled on a GPU only"
        } else {
            return None;
        };
        Some(reason.to_owned())
    }

    /// Starts the peer and lets both sides take the same steps; the largest relative difference of their losses. Where
    /// it does not start, its rows say why.
    fn start_peer(&mut self, rows: &mut [BenchRow]) -> Option<f64> {
        let args = self.args;
        let python = args.python.as_deref()?;
        let started = Peer::start(
            python,
            args.arch,
            args.side,
            args.batch,
            self.device,
            args.threads,
            &args.out,
        )
        .and_then(|mut peer| {
            let difference = self.agree(&mut peer)?;
            self.peer = Some(peer);
            Ok(difference)
        });
        match started {
            Ok(difference) => Some(difference),
            Err(e) => {
                tracing::warn!("PyTorch's rows are left out: {e:#}");
                self.give_up_peer(rows, &format!("{e:#}"));
                None
            }
        }
    }

    fn give_up_peer(&mut self, rows: &mut [BenchRow], reason: &str) {
        self.peer = None;
        for row in rows {
            if row.who != Who::Logodex && row.skipped.is_none() {
                row.skipped = Some(reason.to_owned());
            }
        }
    }

    /// Both sides take a few steps from the same weights on the same pictures, in fp32.
    fn agree(&self, peer: &mut Peer) -> Result<f64> {
        const STEPS: usize = 3;
        let row = &rows::table()[0];
        let arch = self.arch_name();
        let config = experiment(row, &arch, self.args.batch)?;
        let arithmetic = arithmetic(self.args, Precision::Fp32, false, Residency::Host);
        let mut workload = Workload::new(config, arithmetic)?;
        let (images, targets) = synthetic(self.args.batch, self.args.side, self.device);
        let file = self.args.out.join("same_start.safetensors");
        let mut start = workload.learner.model_state();
        start.insert("images".to_owned(), images.shallow_clone());
        start.insert("targets".to_owned(), targets.shallow_clone());
        torch::save_tensors(&file, &start)?;
        let theirs = peer.losses(&file, STEPS, self.deadline);
        std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
        let pairs = theirs?.into_iter().map(|loss| {
            let ours = workload.step(&images, &targets).double_value(&[]);
            (ours / loss - 1.0).abs()
        });
        Ok(pairs.fold(0.0, f64::max))
    }

    fn arch_name(&self) -> String {
        let value = serde_json::to_value(self.args.arch).unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Times one window of a row.
    fn window(&mut self, row: &mut BenchRow) -> Result<()> {
        let measured = match row.who {
            Who::Logodex => self.our_window(row)?.context("the time was up"),
            Who::Eager | Who::Compiled => match &mut self.peer {
                Some(peer) => peer.window(row, self.args.seconds, WARM_UP, self.deadline),
                None => Err(anyhow::anyhow!("PyTorch's process has ended")),
            },
        };
        match measured {
            Ok(window) => {
                row.images_per_sec.push(window.images_per_sec);
                row.peak_memory_bytes = row.peak_memory_bytes.max(window.peak_memory_bytes);
            }
            Err(e) => {
                row.skipped = Some(format!("{e:#}"));
                // One row that fails, as where torch.compile finds no compiler, leaves the others.
                self.peer = self.peer.take().filter(|peer| peer.ready);
            }
        }
        Ok(())
    }

    fn our_window(&self, row: &BenchRow) -> Result<Option<PeerWindow>> {
        let args = self.args;
        let residency = match row.source {
            Source::Resident => Residency::Device,
            Source::Synthetic | Source::Streamed => Residency::Host,
        };
        let config = experiment(row, &self.arch_name(), args.batch)?;
        let arithmetic = arithmetic(args, row.precision, row.channels_last, residency);
        torch::cuda::reset_peak_memory(self.device);
        let mut workload = Workload::new(config, arithmetic)?;
        let images_per_sec = match (&self.pictures, row.source) {
            (_, Source::Synthetic) | (None, _) => {
                let (images, targets) = synthetic(args.batch, args.side, self.device);
                self.time(|| Ok(workload.step(&images, &targets)))?
            }
            (Some((dataset, fold)), _) => {
                let n = (args.seconds * 100.0).ceil() as usize + WARM_UP + 8;
                let plans = plans(&workload.config, fold, n)?;
                let resident = match row.source {
                    Source::Resident => {
                        let rows = fold.brands.iter().flat_map(|brand| brand.rows.clone());
                        Some(Resident::load(dataset, rows.collect(), self.device)?)
                    }
                    Source::Synthetic | Source::Streamed => None,
                };
                let source = match &resident {
                    Some(resident) => Pictures::Device(resident),
                    None => Pictures::Host(dataset),
                };
                std::thread::scope(|scope| {
                    let mut batches = load(scope, source, plans, self.device);
                    self.time(|| {
                        let batch = batches.next().context("the planned batches ran out")??;
                        Ok(workload.step_batch(&batch))
                    })
                })?
            }
        };
        Ok(images_per_sec.map(|images_per_sec| PeerWindow {
            images_per_sec,
            peak_memory_bytes: torch::cuda::peak_memory(self.device),
        }))
    }

    /// Images per second of a step, after warm-up; none where the time is up before that. As `fit` does, each step's loss
    /// is read one step later, so that the device need not wait for the processor.
    fn time(&self, mut step: impl FnMut() -> Result<Tensor>) -> Result<Option<f64>> {
        let mut before: Option<Tensor> = None;
        let mut step = || -> Result<()> {
            if let Some(loss) = before.replace(step()?) {
                let _ = loss.double_value(&[]);
            }
            Ok(())
        };
        for _ in 0..WARM_UP {
            step()?;
            // The first step is the one that can take long: cuDNN tries its algorithms.
            if Instant::now() > self.deadline {
                return Ok(None);
            }
        }
        torch::cuda::synchronize(self.device);
        let began = Instant::now();
        let mut steps = 0;
        while steps == 0 || began.elapsed().as_secs_f64() < self.args.seconds {
            step()?;
            steps += 1;
        }
        torch::cuda::synchronize(self.device);
        let images = f64::from(steps * self.args.batch);
        Ok(Some(images / began.elapsed().as_secs_f64()))
    }
}
