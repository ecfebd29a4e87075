//! Settles where a process computes: device, arithmetic and threads, set once from the configuration.

use anyhow::Result;
use logodex_schemas::train::{Precision, RuntimeConfig};
use tch::{Device, Tensor};

use crate::torch;
use crate::torch::memory::upload;

/// The settings in force.
#[derive(Debug, Clone, Copy)]
pub struct Runtime {
    /// Where tensors live.
    pub device: Device,
    /// Whether the network runs under bfloat16 autocast.
    pub bf16: bool,
    /// Whether activations and weights are laid out channels-last.
    pub channels_last: bool,
    /// CPU threads of libtorch.
    pub threads: u32,
}

impl Runtime {
    /// Sets libtorch's threads, TF32 and determinism for this process, chooses the device and says which it is.
    ///
    /// # Errors
    /// CUDA was asked for and there is none.
    pub fn start(config: &RuntimeConfig) -> Result<Self> {
        let threads = torch::set_threads(config.threads);
        let device = torch::select_device(config.device)?;
        let name = match device {
            Device::Cuda(index) => format!("CUDA device {index}"),
            _ => "the CPU".to_owned(),
        };
        tracing::info!("computing on {name}, with {threads} CPU threads");
        torch::set_tf32(config.precision == Precision::Tf32);
        torch::set_deterministic(config.deterministic || device == Device::Cpu);
        Ok(Self {
            device,
            bf16: config.precision == Precision::Bf16,
            channels_last: config.channels_last,
            threads,
        })
    }

    /// A tensor of numbers on the device.
    pub fn i64_tensor(&self, values: &[i64]) -> Tensor {
        upload(Tensor::from_slice(values), self.device)
    }
}
