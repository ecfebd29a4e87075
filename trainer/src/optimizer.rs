//! Stub.
use crate::model::Parameter;
use logodex_schemas::train::OptimizerConfig;
use std::collections::BTreeMap;
use tch::Tensor;
pub struct Optimizer {}
impl Optimizer {
    pub fn new(_config: &OptimizerConfig) -> Self {
        todo!()
    }
    pub fn step(&mut self, _params: &[Parameter], _lr: impl Fn(&Parameter) -> f64) {
        todo!()
    }
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        todo!()
    }
    pub fn load_state(
        &mut self,
        _state: &BTreeMap<String, Tensor>,
        _params: &[Parameter],
    ) -> anyhow::Result<()> {
        todo!()
    }
}
pub fn zero_grad(_params: &[Parameter]) {
    todo!()
}
