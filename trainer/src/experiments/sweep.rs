//! `logodex-train sweep`: trains several runs one after another, and writes one table to compare them by.
//!
//! Each run is the program itself, started anew: what it does is what `logodex-train fit` would do alone, and one that
//! fails, of whatever, takes no other with it.

mod left;
pub mod runs;
pub mod table;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use logodex_dataset::Dataset;
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_program::output::{print, say};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::data::batch::images_per_epoch;
use crate::run;
use crate::run::interrupt::{Interrupted, Interrupts};
use crate::run::state::ended;
use runs::SweepRun;
use table::Outcome;

/// What is typed after `logodex-train sweep`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  logodex-train sweep --dataset data/demo/dataset --split demo --out runs/section4 --evaluate \\\n    --configs trainer/configs/sweep/demo_section4/*.toml\n  logodex-train sweep --dataset data/demo/dataset --split demo --out runs/margins --dry-run \\\n    --grid trainer/configs/sweep/demo_margins.toml\n  logodex-train sweep --dataset data/demo/dataset --split demo --out runs/seeds --seeds 3 --evaluate \\\n    --configs trainer/configs/demo/multi_similarity.toml\n\nA grid:\n  base = \"../demo/contrastive.toml\"     # relative to the grid's folder\n  [grid]\n  \"loss.margin\" = [0.2, 0.5]\n  \"optimizer.lr\" = [1e-3, 1e-2]"
)]
pub struct SweepArgs {
    /// Dataset directory, as `logodex-data build` makes it.
    #[arg(long)]
    pub dataset: PathBuf,
    /// Name of a split, as `logodex-data split` draws it.
    #[arg(long)]
    pub split: String,
    /// Directory for the runs, one in each folder, and for sweep.md and sweep.csv. The same command again skips the
    /// runs that are finished and continues those that are not.
    #[arg(long)]
    pub out: PathBuf,
    /// Configurations, run in this order; each run is named after its file.
    #[arg(long, value_name = "FILE.toml", num_args = 1.., required_unless_present = "grid", conflicts_with = "grid")]
    pub configs: Vec<PathBuf>,
    /// A grid: a base configuration and lists of values for some of its keys; every combination is run.
    #[arg(long, value_name = "GRID.toml")]
    pub grid: Option<PathBuf>,
    /// Train each configuration with so many seeds: its own and those after it. The table then shows how far they lie apart.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub seeds: u32,
    /// Judge each finished run on the test brands too, for the table's mAP.
    #[arg(long)]
    pub evaluate: bool,
    /// Say what would run and how many images that takes, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Where a run stands before the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    New,
    Begun { epochs: u32 },
    Finished,
}

/// A run of the sweep with the images that an epoch of it takes.
struct Task {
    run: SweepRun,
    dir: PathBuf,
    images_per_epoch: u64,
    before: Before,
}

/// Runs what is asked for, then writes and prints the comparison.
///
/// # Errors
/// [`Failure::Usage`] before the first run where one of them could not; afterwards an error that names the runs that
/// failed, once the others are done and the table is written.
pub fn sweep_command(args: &SweepArgs) -> Result<()> {
    let runs = match &args.grid {
        Some(grid) => runs::of_grid(grid)?,
        None => runs::of_configs(&args.configs)?,
    };
    let runs = runs::with_seeds(runs, args.seeds)?;
    let dataset = Dataset::open(&args.dataset)?;
    let split = dataset.split(&args.split)?;
    let mut tasks = Vec::new();
    for run in runs {
        let in_run = |e: Failure| Failure::Usage(format!("{}: {e}", run.name));
        let images_per_epoch = images_per_epoch(&dataset, &split, &run.config).map_err(in_run)?;
        let dir = args.out.join(&run.name);
        let found = run::find(&dir, &run.config)?;
        let before = match found.and_then(|found| found.checkpoint) {
            None => Before::New,
            Some(c) if ended(&c.state, &run.config).is_some() => Before::Finished,
            Some(c) => Before::Begun {
                epochs: c.state.epochs_done,
            },
        };
        tasks.push(Task {
            run,
            dir,
            images_per_epoch,
            before,
        });
    }
    drop(dataset);
    if args.dry_run {
        print(listing(&tasks));
        return Ok(());
    }
    say(listing(&tasks));

    // A signal is handed on to the run, which finishes its step and writes a checkpoint: that is waited for.
    let interrupts = Interrupts::listen();
    let mut outcomes = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        say(format_args!(
            "\n[{} of {}] {}\n",
            number + 1,
            tasks.len(),
            task.run.name
        ));
        outcomes.push(perform(task, args, &interrupts)?);
        if let Some(signal) = interrupts.received() {
            return Err(stopped(signal).into());
        }
    }

    let mut lines: Vec<table::Line> = tasks
        .iter()
        .zip(&outcomes)
        .map(|(task, outcome)| {
            table::line(&task.run.name, &task.dir, task.images_per_epoch, outcome)
        })
        .collect();
    let configs: Vec<_> = tasks.iter().map(|task| &task.run.config).collect();
    table::over_seeds(&mut lines, &configs);
    let differences = table::differences(&configs)?;
    write_whole(
        &args.out.join("sweep.md"),
        table::markdown(&lines, &differences).as_bytes(),
    )?;
    write_whole(
        &args.out.join("sweep.csv"),
        &table::csv(&lines, &differences)?,
    )?;
    print(table::terminal(&lines, &differences));

    let failed: Vec<String> = lines
        .iter()
        .filter_map(|line| match &line.outcome {
            Outcome::Done => None,
            Outcome::Failed(why) => Some(format!("{} ({why})", line.name)),
        })
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => bail!(
            "{} of {} runs failed: {}",
            failed.len(),
            lines.len(),
            failed.join(", ")
        ),
    }
}

/// What would run, or will.
fn listing(tasks: &[Task]) -> String {
    let mut out = String::new();
    let longest = tasks
        .iter()
        .map(|task| task.run.name.len())
        .max()
        .unwrap_or(0);
    let mut total = 0;
    for task in tasks {
        let epochs = task.run.config.schedule.epochs;
        let (done, what) = match task.before {
            Before::New => (0, "new".to_owned()),
            Before::Begun { epochs } => (epochs, format!("continued after epoch {epochs}")),
            Before::Finished => (epochs, "finished".to_owned()),
        };
        let images = u64::from(epochs - done.min(epochs)) * task.images_per_epoch;
        total += images;
        out += &format!(
            "{:<longest$}  {epochs:>4} epochs of {:>8} images  {images:>10} images to go  {what}\n",
            task.run.name, task.images_per_epoch
        );
    }
    out + &format!("{} runs, {total} images to go\n", tasks.len())
}

/// Trains or continues a run, and judges it where that is asked for and not done yet.
///
/// # Errors
/// What keeps the sweep itself from going on: the program cannot be started, or someone interrupted it.
fn perform(task: &Task, args: &SweepArgs, interrupts: &Interrupts) -> Result<Outcome> {
    if task.before != Before::Finished {
        let config = match &task.run.path {
            Some(path) => path.clone(),
            None => write_config(&args.out, &task.run)?,
        };
        let mut fit = program("fit", args)?;
        fit.arg("--config").arg(config).arg("--run").arg(&task.dir);
        fit.arg("--resume-or-start");
        // What it prints at its end is in the sweep's table.
        let status =
            wait_for(fit.stdout(Stdio::null()), interrupts).context("cannot start the run")?;
        if let Some(why) = failure(status, interrupts)? {
            return Ok(Outcome::Failed(format!("fit: {why}")));
        }
    }
    if args.evaluate && !is_judged(&task.dir) {
        let mut evaluate = program("evaluate", args)?;
        evaluate
            .arg("--run")
            .arg(&task.dir)
            .arg("--out")
            .arg(&task.dir);
        // Its table would come between the sweep's lines; evaluation.csv has it.
        let status = wait_for(evaluate.stdout(Stdio::null()), interrupts)
            .context("cannot start the evaluation")?;
        if let Some(why) = failure(status, interrupts)? {
            return Ok(Outcome::Failed(format!("evaluate: {why}")));
        }
    }
    Ok(Outcome::Done)
}

/// Runs it to its end, and hands on a signal that the sweep gets. A terminal, and some schedulers, send theirs to the run
/// as well, and a second one of a kind ends it without a checkpoint: so it is the other of the two that is handed on.
fn wait_for(command: &mut Command, interrupts: &Interrupts) -> std::io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let (Some(signal), false) = (interrupts.received(), is_told) {
            let other = if signal == SIGINT { SIGTERM } else { SIGINT };
            let pid = libc::pid_t::try_from(child.id()).map_err(std::io::Error::other)?;
            // SAFETY: a plain call; the child was not waited for, so the number is still its own.
            unsafe { libc::kill(pid, other) };
            is_told = true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn program(command: &str, args: &SweepArgs) -> Result<Command> {
    let mut program =
        Command::new(std::env::current_exe().context("cannot find the program itself")?);
    program
        .arg(command)
        .arg("--dataset")
        .arg(&args.dataset)
        .arg("--split")
        .arg(&args.split);
    Ok(program)
}

fn stopped(signal: i32) -> Interrupted {
    let ended = "the sweep; the same command continues where it was".to_owned();
    Interrupted { signal, ended }
}

/// Why a run ended badly. One that a person stopped stops the sweep, by the signal that the sweep got where it got one.
fn failure(status: ExitStatus, interrupts: &Interrupts) -> Result<Option<String>> {
    let by_a_person = [SIGINT, SIGTERM];
    let of_run = status.signal().or(status.code().map(|code| code - 128));
    if let Some(signal) = of_run.filter(|signal| by_a_person.contains(signal)) {
        return Err(stopped(interrupts.received().unwrap_or(signal)).into());
    }
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit code {code}")),
        (None, signal) => Some(format!("killed by signal {}", signal.unwrap_or_default())),
    })
}

/// A combination's configuration goes to `configs/` in the sweep's directory.
fn write_config(out: &Path, run: &SweepRun) -> Result<PathBuf> {
    let dir = out.join("configs");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let path = dir.join(format!("{}.toml", run.name));
    write_whole(&path, &run.bytes)?;
    Ok(path)
}

/// Whether there is an evaluation, of this version, and the last checkpoint is not newer than it.
fn is_judged(dir: &Path) -> bool {
    let modified = |path: &str| {
        fs::metadata(dir.join(path))
            .and_then(|meta| meta.modified())
            .ok()
    };
    match (
        modified("evaluation.json"),
        modified("checkpoints/last/state.json"),
    ) {
        (Some(judged), Some(trained)) => judged >= trained && left::read(dir).evaluation.is_some(),
        _ => false,
    }
}
