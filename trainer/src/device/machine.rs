//! Describes the machine that a result was measured on.

use std::process::Command;

use logodex_schemas::device::Machine;
use tch::Device;

/// What a result says where its numbers are not a GPU's.
pub(super) const NOT_ON_GPU: &str = "not run on a GPU";

/// The machine as a result names it.
pub(super) fn machine(device: Device) -> Machine {
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
