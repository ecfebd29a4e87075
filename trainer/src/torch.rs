//! Stub.
use anyhow::Result;
use logodex_schemas::train::DeviceChoice;
use std::{collections::BTreeMap, path::Path};
use tch::{Device, Tensor};
pub fn load_cuda_backend() -> bool {
    todo!()
}
pub fn select_device(_choice: DeviceChoice) -> Result<Device> {
    todo!()
}
pub fn autocast_bf16<R>(_device: Device, _enabled: bool, _f: impl FnOnce() -> R) -> R {
    todo!()
}
pub fn channels_last(_t: &Tensor) -> Tensor {
    todo!()
}
pub fn set_tf32(_enabled: bool) {
    todo!()
}
pub fn set_deterministic(_enabled: bool) {
    todo!()
}
pub fn set_threads(_n: u32) {
    todo!()
}
pub fn save_tensors(_path: &Path, _tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    todo!()
}
pub fn load_tensors(_path: &Path) -> Result<BTreeMap<String, Tensor>> {
    todo!()
}
