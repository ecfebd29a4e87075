//! The trainer: from a dataset directory to a run directory, and from a run to embeddings and their evaluation.
//!
//! The computing half, [`torch`] (what libtorch offers beyond tch), [`model`], [`loss`], [`optimizer`], [`schedule`]
//! and [`augment`], knows nothing of datasets, runs or files other than weights. The other half brings data to it
//! ([`dataset`], [`sampler`], [`batch`]), drives it ([`train`], [`validate`], [`embed`]) and keeps what comes of it
//! ([`checkpoint`], [`run`], [`journal`]). [`eval`] judges embeddings, these or any other tool's.

pub mod augment;
pub mod batch;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod device;
pub mod ema;
pub mod embed;
pub mod evaluate;
pub mod explain;
pub mod feed;
pub mod interrupt;
pub mod journal;
pub mod keys;
pub mod learner;
pub mod loss;
pub mod memory;
pub mod metrics;
pub mod miner;
pub mod model;
pub mod monitor;
pub mod optimizer;
pub mod per_image;
pub mod preview;
pub mod run;
pub mod runtime;
pub mod sampler;
pub mod schedule;
pub mod slips;
pub mod state;
pub mod sweep;
pub mod tensorboard;
pub mod torch;
pub mod train;
pub mod validate;
