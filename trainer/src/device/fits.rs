//! Checks whole runs of the program on a device: it learns, continues after a kill as if nothing had been, and trains
//! the same whether the pictures lie on the host or on the device.
//!
//! Bit for bit on the CPU. On CUDA the order of some sums changes from run to run, so losses are compared, and only
//! over the epoch in which a difference would begin: later ones drift apart by themselves.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use logodex_schemas::train::{DeviceChoice, Residency};

use super::findings::Findings;

/// Losses of two runs on CUDA may differ by this much, relative.
const DRIFT: f64 = 0.02;
/// The last epoch's loss over the first one's, at most. A run that does not learn stays at 1 (the classes are as likely
/// as before): its batches and augmentations alone move an epoch's mean by a few hundredths.
const LEARNT: f64 = 0.8;
/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is run.
pub(super) struct Fits {
    pub(super) program: PathBuf,
    pub(super) dataset: PathBuf,
    pub(super) split: String,
    pub(super) device: DeviceChoice,
    /// Whether runs must agree bit for bit.
    pub(super) exact: bool,
    pub(super) epochs: u32,
    pub(super) threads: u32,
    /// A folder for the runs, made anew and removed when all went well.
    pub(super) dir: PathBuf,
}

/// Runs the program three times: left alone, killed and resumed, and with the pictures on the device.
pub(super) fn check(findings: &mut Findings, fits: &Fits) -> Result<()> {
    if fits.dir.exists() {
        fs::remove_dir_all(&fits.dir).with_context(|| fits.dir.display().to_string())?;
    }
    fs::create_dir_all(&fits.dir).with_context(|| fits.dir.display().to_string())?;
    let failed_before = findings.failed().len();
    let alone = fits.run("alone", Residency::Host)?;
    learning(findings, &alone);
    let resumed = fits.killed_and_resumed("killed")?;
    resume(findings, fits.exact, &alone, &resumed);
    let resident = fits.run("resident", Residency::Device)?;
    residency(findings, fits.exact, &alone, &resident);
    if findings.failed().len() == failed_before {
        fs::remove_dir_all(&fits.dir).with_context(|| fits.dir.display().to_string())?;
    }
    Ok(())
}

/// What a run tells of itself.
#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    /// Of each step: epoch and loss.
    steps: Vec<(u32, f64)>,
    /// Of each epoch: mean training loss and validation F1.
    epochs: Vec<(f64, Option<f64>)>,
    /// BLAKE3 of the last weights.
    weights: Option<blake3::Hash>,
    /// Epochs done at the checkpoint from which it was resumed.
    resumed_at: u32,
}

/// The loss falls.
fn learning(findings: &mut Findings, run: &Told) {
    let loss = |epoch: Option<&(f64, Option<f64>)>| epoch.map_or(f64::NAN, |e| e.0);
    let (first, last) = (loss(run.epochs.first()), loss(run.epochs.last()));
    let f1 = |epoch: Option<&(f64, Option<f64>)>| epoch.and_then(|e| e.1).unwrap_or(f64::NAN);
    let (before, after) = (f1(run.epochs.first()), f1(run.epochs.last()));
    let detail = format!(
        "training loss, last epoch over first: {first:.3} → {last:.3}; validation F1 {before:.3} → {after:.3}"
    );
    findings.at_most("learning", last / first, LEARNT, &detail);
}

/// The epoch after the kill is the one of the run left alone; that an epoch lost or repeated would show is part of it.
fn resume(findings: &mut Findings, exact: bool, alone: &Told, resumed: &Told) {
    let epoch = resumed.resumed_at;
    let of = |run: &Told, epoch: u32| -> Vec<f64> {
        let steps = run.steps.iter().filter(|(e, _)| *e == epoch);
        steps.map(|(_, loss)| *loss).collect()
    };
    let here = of(alone, epoch);
    let difference = largest_difference(&of(resumed, epoch), &here);
    let detail = format!(
        "steps of epoch {epoch}, the first after the kill: largest relative difference of losses"
    );
    findings.at_most(
        "resume: losses",
        difference,
        if exact { 0.0 } else { DRIFT },
        &detail,
    );
    let before = of(alone, epoch.saturating_sub(1));
    let shift = (mean(&here) / mean(&before) - 1.0).abs();
    let detail = "change of the mean loss from the epoch before: what a lost epoch would show";
    findings.within(
        "resume: would be seen",
        shift,
        Some(1.5 * DRIFT),
        None,
        detail,
    );
    if exact {
        let differ = f64::from(alone.weights.is_none() || alone.weights != resumed.weights);
        let detail = "0 where the last weights are the same bits";
        findings.at_most("resume: weights", differ, 0.0, detail);
    }
}

/// The same batches give the same losses wherever the pictures lie.
fn residency(findings: &mut Findings, exact: bool, host: &Told, device: &Told) {
    let losses = |run: &Told| -> Vec<f64> {
        let first = run.steps.iter().filter(|(epoch, _)| exact || *epoch == 0);
        first.map(|(_, loss)| *loss).collect()
    };
    let difference = largest_difference(&losses(device), &losses(host));
    let detail = match exact {
        true => "all steps: largest relative difference of losses",
        false => "steps of epoch 0: largest relative difference of losses",
    };
    findings.at_most(
        "residency: losses",
        difference,
        if exact { 0.0 } else { DRIFT },
        detail,
    );
}

/// NaN where there is nothing to compare or the numbers of steps differ.
fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    if found.is_empty() || found.len() != expected.len() {
        return f64::NAN;
    }
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| ((a - b) / b).abs()).fold(0.0, f64::max)
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

impl Fits {
    /// A configuration that learns in seconds, with augmentation and momentum.
    fn config(&self, residency: Residency) -> Result<PathBuf> {
        let key = |value: serde_json::Result<String>| value.unwrap_or_default();
        let text = format!(
            "seed = 7\n[model]\narch = \"resnet18\"\nhead = \"linear\"\nembedding_dim = 64\n\
             [loss]\nkind = \"norm_softmax\"\ntemperature = 0.1\n\
             [optimizer]\nkind = \"sgd\"\nlr = 5e-2\nmomentum = 0.9\n\
             [schedule]\nepochs = {}\n[data]\nbatch = 32\n[augment]\n\
             [runtime]\ndevice = {}\nresidency = {}\nthreads = {}\n",
            self.epochs,
            key(serde_json::to_string(&self.device)),
            key(serde_json::to_string(&residency)),
            self.threads
        );
        let path = self.dir.join(match residency {
            Residency::Host => "host.toml",
            Residency::Device => "device.toml",
        });
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    fn command(&self, name: &str, residency: Residency) -> Result<Command> {
        let log = self.dir.join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        let mut command = Command::new(&self.program);
        command
            .args(["fit", "--resume-or-start", "--split", &self.split])
            .arg("--dataset")
            .arg(&self.dataset)
            .arg("--config")
            .arg(self.config(residency)?)
            .arg("--run")
            .arg(self.dir.join(name))
            .stdout(Stdio::null())
            .stderr(log);
        Ok(command)
    }

    /// A run from beginning to end.
    fn run(&self, name: &str, residency: Residency) -> Result<Told> {
        let status = self.command(name, residency)?.status();
        let status = status.with_context(|| self.program.display().to_string())?;
        if !status.success() {
            bail!("fit ended with {status}:\n{}", self.end_of_log(name));
        }
        self.told(name)
    }

    /// A run that is killed within the first epoch after its first checkpoint, as far as the machine's speed lets it,
    /// then resumed.
    fn killed_and_resumed(&self, name: &str) -> Result<Told> {
        let mut child = self
            .command(name, Residency::Host)?
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        let began = Instant::now();
        let last = self.dir.join(name).join("checkpoints/last/state.json");
        while !last.exists() {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "fit ended with {status} before its first checkpoint:\n{}",
                    self.end_of_log(name)
                );
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!(
                    "fit wrote no checkpoint in {PATIENCE:?}:\n{}",
                    self.end_of_log(name)
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill()?;
        if child.wait()?.success() {
            bail!("fit was done before it could be killed; give more --epochs");
        }
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&last)?)?;
        let resumed_at = state["epochs_done"].as_u64().unwrap_or(0) as u32;
        if resumed_at == 0 || resumed_at >= self.epochs {
            bail!(
                "fit was killed after {resumed_at} of {} epochs, so nothing is left to resume; give more --epochs",
                self.epochs
            );
        }
        Ok(Told {
            resumed_at,
            ..self.run(name, Residency::Host)?
        })
    }

    fn told(&self, name: &str) -> Result<Told> {
        let dir = self.dir.join(name);
        let weights = fs::read(dir.join("checkpoints/last/model.safetensors"));
        let path = dir.join("metrics.jsonl");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Told {
            weights: weights.ok().map(|bytes| blake3::hash(&bytes)),
            ..parse(&text).with_context(|| path.display().to_string())?
        })
    }

    fn end_of_log(&self, name: &str) -> String {
        let log = fs::read_to_string(self.dir.join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// Reads what is needed of `metrics.jsonl`; lines of other kinds are passed over.
fn parse(text: &str) -> Result<Told> {
    let mut told = Told::default();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let number = |key: &str| {
            let value = line[key].as_f64();
            value.with_context(|| format!("no number `{key}` in {line}"))
        };
        match line["kind"].as_str() {
            Some("step") => told.steps.push((number("epoch")? as u32, number("loss")?)),
            Some("epoch") => told
                .epochs
                .push((number("train_loss")?, line["f1"].as_f64())),
            _ => {}
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
