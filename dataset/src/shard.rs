//! One shard of a dataset: an ordinary safetensors file, mapped into memory.
//!
//! [`Dataset`](crate::Dataset) opens shards by itself; this module is for those who read or write single files. Any other
//! library for safetensors reads the same:
//!
//! ```
//! # mod tiny { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reader/tiny.rs")); }
//! # let temporary = tiny::small();
//! # let dir = temporary.path();
//! use logodex_dataset::Dataset;
//! use safetensors::SafeTensors;
//!
//! let file = std::fs::read(dir.join("shards/00000.safetensors"))?;
//! let images = SafeTensors::deserialize(&file)?.tensor("images")?; // [n, side, side, 3]
//!
//! let dataset = Dataset::open(dir)?;
//! assert_eq!(images.data()[..dataset.row_bytes()], *dataset.stored(0)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod layout;
mod mapped;

pub use layout::{ALIGNMENT, Column, Layout, Stored, header, read_layout};
pub use mapped::Shard;
