//! An arithmetic to train in, the device included, and the names by which tables and arguments know its parts.

use anyhow::Result;
use logodex_schemas::train::{DeviceChoice, Precision, Residency, RuntimeConfig};

use crate::runtime::Runtime;

/// An arithmetic on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arithmetic {
    pub(super) device: DeviceChoice,
    pub(super) precision: Precision,
    pub(super) channels_last: bool,
    pub(super) residency: Residency,
    pub(super) threads: u32,
}

impl Arithmetic {
    /// Puts it in force for the process.
    pub(super) fn start(self) -> Result<Runtime> {
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

/// A precision as configurations name it.
pub(super) fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "fp32",
        Precision::Tf32 => "tf32",
        Precision::Bf16 => "bf16",
    }
}

/// A memory layout as tables name it.
pub(super) fn layout_name(channels_last: bool) -> &'static str {
    match channels_last {
        true => "channels-last",
        false => "NCHW",
    }
}

/// Parses a key's value as a configuration would: `cpu`, `bf16`, `resnet50`.
pub(super) fn parse_value<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|e| e.to_string())
}
