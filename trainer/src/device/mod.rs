//! Is a device right, and how fast is it? `logodex-train selfcheck` and `logodex-train bench`.
//!
//! Both drive the trainer's own parts and, where a whole run is meant, the program itself, so that what they say holds
//! for what users run. On a machine without a GPU they run on the CPU, which tests their logic and says nothing of
//! CUDA.

pub mod bench;
pub mod check;
mod findings;
mod fits;
mod markdown;
mod parity;
mod peer;
mod rows;
mod step;

use std::process::Command;

use anyhow::Result;
use logodex_schemas::device::Machine;
use logodex_schemas::train::{DeviceChoice, Precision, Residency, RuntimeConfig};
use tch::Device;

use crate::runtime::Runtime;

/// What a result says where its numbers are not a GPU's.
pub const NOT_ON_GPU: &str = "not run on a GPU";

/// An arithmetic on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arithmetic {
    device: DeviceChoice,
    precision: Precision,
    channels_last: bool,
    residency: Residency,
    threads: u32,
}

impl Arithmetic {
    /// Puts it in force for the process.
    fn start(self) -> Result<Runtime> {
        Runtime::start(&RuntimeConfig {
            device: self.device,
            precision: self.precision,
            channels_last: self.channels_last,
            residency: self.residency,
            threads: self.threads,
            ..RuntimeConfig::default()
        })
    }
}

/// The machine as a result names it.
fn machine(device: Device) -> Machine {
    let (device, gpu) = match device {
        Device::Cuda(index) => (format!("cuda:{index}"), gpu_name(index)),
        _ => ("cpu".to_owned(), None),
    };
    Machine {
        device,
        gpu,
        threads: tch::get_num_threads().unsigned_abs(),
    }
}

/// Name, driver and memory of a GPU, as `nvidia-smi` counts them; none where it does not answer.
fn gpu_name(index: usize) -> Option<String> {
    let output = Command::new("nvidia-smi")
        .args([
            "--query-gpu=name,driver_version,memory.total",
            "--format=csv,noheader",
        ])
        .arg(format!("--id={index}"))
        .output()
        .ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !line.trim().is_empty()).then(|| line.trim().to_owned())
}

/// A precision as configurations name it.
fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "fp32",
        Precision::Tf32 => "tf32",
        Precision::Bf16 => "bf16",
    }
}

/// A memory layout as tables name it.
fn layout_name(channels_last: bool) -> &'static str {
    match channels_last {
        true => "channels-last",
        false => "NCHW",
    }
}

/// Parses a key's value as a configuration would: `cpu`, `bf16`, `resnet50`.
fn parse_value<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|e| e.to_string())
}
