//! Names logos, or says that it does not know them: with an exported model and a gallery of a few pictures per brand, without
//! libtorch and without Python.
//!
//! - [`Model`] opens an ONNX file that `logodex-train export` wrote; [`square`](picture::square) makes of an image's bytes what it
//!   takes, as the pipeline does, to the bit; [`Model::embed`] gives an embedding of length one for each square.
//! - [`Gallery`] is a snapshot of what is enrolled. [`Gallery::search`] finds the most similar brands, exactly;
//!   [`Gallery::threshold`] says from which similarity on one is named, and how often a stranger is at that. A change
//!   ([`Gallery::enrol`], [`Gallery::rename`], [`Gallery::remove`], …) is durable when it returns, and gives the next snapshot;
//!   others keep theirs.

pub mod command;
pub mod copy;
pub mod gallery;
pub mod parquet;
pub mod scenes;
pub mod serve;
pub mod sheet;
pub mod threshold;

pub use gallery::Gallery;
pub use logodex_inference::{Model, model, picture};
