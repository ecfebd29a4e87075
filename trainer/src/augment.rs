//! Stub.
use logodex_schemas::train::AugmentConfig;
use tch::Tensor;
pub struct AugmentParams {}
pub fn to_float(_images_nhwc: &Tensor) -> Tensor {
    todo!()
}
pub fn normalize(_images: &Tensor) -> Tensor {
    todo!()
}
pub fn draw(_config: &AugmentConfig, _seed: u64, _epoch: u64, _keys: &[u64]) -> AugmentParams {
    todo!()
}
pub fn augment(_images: &Tensor, _params: &AugmentParams) -> Tensor {
    todo!()
}
