//! Stub.
use anyhow::Result;
use logodex_schemas::train::ModelConfig;
use std::collections::BTreeMap;
use tch::{Device, Tensor};
pub mod weights;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Train { frozen: u8 },
    Eval,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Backbone { stage: u8 },
    Head,
}
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    pub tensor: Tensor,
    pub group: Group,
}
pub struct EmbeddingNet {}
impl EmbeddingNet {
    pub fn new(
        _config: &ModelConfig,
        _seed: u64,
        _device: Device,
        _channels_last: bool,
    ) -> Result<Self> {
        todo!()
    }
    pub fn forward(&self, _images: &Tensor, _mode: Mode) -> Tensor {
        todo!()
    }
    pub fn features(&self, _images: &Tensor, _mode: Mode) -> Tensor {
        todo!()
    }
    pub fn parameters(&self) -> &[Parameter] {
        todo!()
    }
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        todo!()
    }
    pub fn load_state(&mut self, _state: &BTreeMap<String, Tensor>) -> Result<()> {
        todo!()
    }
    pub fn embedding_dim(&self) -> i64 {
        todo!()
    }
    pub fn feature_dim(&self) -> i64 {
        todo!()
    }
}
