//! `logodex-train selfcheck`: one line per check, `check.json` beside them, exit code 1 if any fails.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use logodex_schemas::device::{Check, DeviceCheck, Setup, device_check_header};
use logodex_schemas::train::{Arch, DeviceChoice, Precision, Residency};

use super::{Arithmetic, NOT_ON_GPU, fits, machine, parity, parse_value};
use logodex_program::Failure;
use logodex_program::durable::write_whole;

/// Checks that a device computes what the CPU computes and that runs on it resume and learn.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  logodex-train selfcheck --device cuda --dataset data/check --split check --out check\n\nWithout --dataset only the arithmetic is checked. With --device cpu the CPU is compared with itself in other\nlayouts and arithmetics: that tests the checks and says nothing of CUDA."
)]
pub struct SelfcheckArgs {
    /// cpu, cuda, or auto: CUDA where there is one.
    #[arg(long, default_value = "auto", value_parser = parse_value::<DeviceChoice>)]
    device: DeviceChoice,
    /// Dataset of raw shards for the whole runs: resume, residency, learning.
    #[arg(long, requires = "split")]
    dataset: Option<PathBuf>,
    /// Name of its split.
    #[arg(long)]
    split: Option<String>,
    /// Backbone of the arithmetic checks; whole runs take resnet18.
    #[arg(long, default_value = "resnet50", value_parser = parse_value::<Arch>)]
    arch: Arch,
    /// Side of the pictures of the arithmetic checks, pixels.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(32..=1024))]
    side: u32,
    /// Pictures per batch of the arithmetic checks.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=1024))]
    batch: u32,
    /// Epochs of the whole runs.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..=100))]
    epochs: u32,
    /// CPU threads of libtorch; 0 is one per core.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    threads: u32,
    /// Factor on every upper bound: 0 asks for equality bit by bit.
    #[arg(long, default_value_t = 1.0)]
    tolerance: f64,
    /// Directory for check.json and, while they are needed, the runs.
    #[arg(long, default_value = "selfcheck")]
    out: PathBuf,
}

/// The checks so far.
#[derive(Debug)]
pub(super) struct Findings {
    checks: Vec<Check>,
    notes: Vec<String>,
    tolerance: f64,
}

impl Findings {
    pub(super) fn new(tolerance: f64) -> Self {
        Self {
            checks: Vec::new(),
            notes: Vec::new(),
            tolerance,
        }
    }

    /// Judges a number that may be `most` at most. One that is not finite fails.
    pub(super) fn at_most(&mut self, name: &str, measured: f64, most: f64, detail: &str) {
        self.within(name, measured, None, Some(most), detail);
    }

    /// Judges a number between two bounds, both included.
    pub(super) fn within(
        &mut self,
        name: &str,
        measured: f64,
        least: Option<f64>,
        most: Option<f64>,
        detail: &str,
    ) {
        let most = most.map(|most| most * self.tolerance);
        let ok = measured.is_finite()
            && least.is_none_or(|least| measured >= least)
            && most.is_none_or(|most| measured <= most);
        let bounds = match (least, most) {
            (None, None) => String::new(),
            (None, Some(most)) => format!("at most {most:.1e}"),
            (Some(least), None) => format!("at least {least:.1e}"),
            (Some(least), Some(most)) => format!("{least:.1e} to {most:.1e}"),
        };
        let verdict = if ok { "ok  " } else { "FAIL" };
        println!("{verdict}  {name:<44} {measured:>9.2e}  {bounds:<20}  {detail}");
        self.checks.push(Check {
            name: name.to_owned(),
            measured: measured.is_finite().then_some(measured),
            least,
            most,
            ok,
            detail: detail.to_owned(),
        });
    }

    /// Tells what was left out.
    pub(super) fn note(&mut self, note: String) {
        println!("note: {note}");
        self.notes.push(note);
    }

    /// The names of the checks that failed.
    pub(super) fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|check| !check.ok);
        failed.map(|check| check.name.as_str()).collect()
    }
}

/// Runs every check and writes `check.json`.
///
/// # Errors
/// [`Failure::Usage`] for a device or dataset that is not there; a check that failed, named.
pub fn selfcheck(args: &SelfcheckArgs) -> Result<()> {
    if !(args.tolerance.is_finite() && args.tolerance >= 0.0) {
        return Err(Failure::Usage(format!(
            "--tolerance {} must be a number of at least 0",
            args.tolerance
        ))
        .into());
    }
    let arithmetic = Arithmetic {
        device: args.device,
        precision: Precision::Fp32,
        channels_last: true,
        residency: Residency::Host,
        threads: args.threads,
    };
    let device = arithmetic
        .start()
        .map_err(|e| Failure::Usage(format!("{e:#}")))?
        .device;
    let machine = machine(device);
    println!(
        "device {}, {}; {} CPU threads; the reference is the CPU in fp32, NCHW",
        machine.device,
        machine.gpu.as_deref().unwrap_or(NOT_ON_GPU),
        machine.threads
    );
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;

    let mut findings = Findings::new(args.tolerance);
    let sizes = parity::Sizes {
        arch: args.arch,
        side: i64::from(args.side),
        batch: i64::from(args.batch),
    };
    parity::check(&mut findings, arithmetic, sizes)?;
    match (&args.dataset, &args.split) {
        (Some(dataset), Some(split)) => {
            let program = std::env::current_exe().context("the program's own path")?;
            let fits = fits::Fits {
                program,
                dataset: dataset.clone(),
                split: split.clone(),
                device: args.device,
                exact: !device.is_cuda(),
                epochs: args.epochs,
                threads: args.threads,
                dir: args.out.join("runs"),
            };
            fits::check(&mut findings, &fits)?;
        }
        _ => findings.note("no --dataset: resume, residency and learning are not checked".into()),
    }

    let report = DeviceCheck {
        header: device_check_header(),
        setup: Setup {
            machine,
            arch: args.arch,
            side_px: args.side,
            batch: args.batch,
        },
        checks: findings.checks.clone(),
        notes: findings.notes.clone(),
    };
    let mut json = serde_json::to_vec_pretty(&report)?;
    json.push(b'\n');
    let path = args.out.join("check.json");
    write_whole(&path, &json)?;
    let failed = findings.failed();
    if !failed.is_empty() {
        bail!(
            "{} of {} checks failed: {}",
            failed.len(),
            findings.checks.len(),
            failed.join("; ")
        );
    }
    println!(
        "{}: all {} checks passed{}",
        path.display(),
        findings.checks.len(),
        if device.is_cuda() {
            String::new()
        } else {
            format!(" ({NOT_ON_GPU})")
        }
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_finite_or_out_of_its_bounds_fails() {
        let mut findings = Findings::new(1.0);
        findings.at_most("nan", f64::NAN, 1.0, "");
        findings.at_most("above", 1.1, 1.0, "");
        findings.within("below", 0.1, Some(0.2), Some(1.0), "");
        findings.within("infinite", f64::INFINITY, Some(0.2), None, "");
        findings.within("right", 0.5, Some(0.2), Some(1.0), "");
        assert_eq!(findings.failed(), ["nan", "above", "below", "infinite"]);
        let mut strict = Findings::new(0.0);
        strict.at_most("equal", 0.0, 1.0, "");
        strict.at_most("nearly", 1e-12, 1.0, "");
        assert_eq!(strict.failed(), ["nearly"]);
    }
}
