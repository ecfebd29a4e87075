//! Reads a dataset directory.

pub mod dataset;
pub mod shard;
pub mod split;

pub use dataset::{Dataset, DatasetError, Tables};
pub use split::Split;
