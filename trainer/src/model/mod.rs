//! The embedding network: a backbone (ResNet or EfficientNet-Lite), pooling, a head, optionally a BN-neck and L2 normalisation, and weights
//! from `.safetensors` and `.pth` files.

mod backbone;
mod batch_norm;
mod conv_norm;
mod head;
mod layers;
mod net;
mod parameter;
mod pool;
pub mod pth;
pub mod weights;

pub use net::EmbeddingNet;
pub use parameter::{Group, Mode, Parameter};
