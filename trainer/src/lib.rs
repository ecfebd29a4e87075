//! The trainer: from a dataset directory to a run directory, and from a run to embeddings.
//!
//! The computing half, [`torch`] (what libtorch offers beyond tch), [`model`], [`loss`], [`optim`] and [`augment`],
//! knows nothing of datasets, runs or files other than weights. The other half brings [`data`] to it, drives it
//! ([`train`]) as [`config`] asks, keeps what comes of it ([`run`], [`monitor`]), and compares runs ([`experiments`])
//! and devices ([`device`]).

// Only `logodex_program::output` prints: it knows what to do when nobody reads.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod augment;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod experiments;
pub mod export;
pub mod loss;
pub mod model;
pub mod monitor;
pub mod onnx;
pub mod optim;
pub mod run;
pub mod runtime;
pub mod torch;
pub mod train;
