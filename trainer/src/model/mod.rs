//! The embedding network: a ResNet backbone, pooling, a head, optionally a BN-neck and L2 normalisation, and weights
//! from `.safetensors` and `.pth` files.

mod head;
mod layers;
mod net;
mod parameter;
mod pool;
pub mod pth;
mod resnet;
pub mod weights;

pub use net::EmbeddingNet;
pub use parameter::{Group, Mode, Parameter};
