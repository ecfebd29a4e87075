//! One shard of a dataset: a safetensors file, mapped into memory.

mod layout;
mod mapped;

pub use layout::{ALIGNMENT, Column, Layout, Stored, header, read_layout};
pub use mapped::Shard;
