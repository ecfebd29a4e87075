//! `logodex-train selfcheck`: one line per check, `check.json` beside them, exit code 1 if any fails.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_program::output::print;
use logodex_schemas::device::{DeviceCheck, Setup, device_check_header};
use logodex_schemas::train::{Arch, DeviceChoice, Precision, Residency};

use super::arithmetic::{Arithmetic, parse_value};
use super::findings::Findings;
use super::machine::{NOT_ON_GPU, machine};
use super::{fits, parity};

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
    print(format_args!(
        "device {}, {}; {} CPU threads; the reference is the CPU in fp32, NCHW\n",
        machine.device,
        machine.gpu.as_deref().unwrap_or(NOT_ON_GPU),
        machine.threads
    ));
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
    print(format_args!(
        "{}: all {} checks passed{}\n",
        path.display(),
        findings.checks.len(),
        if device.is_cuda() {
            String::new()
        } else {
            format!(" ({NOT_ON_GPU})")
        }
    ));
    Ok(())
}
