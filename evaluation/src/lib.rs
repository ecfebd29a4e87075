//! Judges embeddings of brands that no model was trained on, and reports on it, without a tensor library.
//!
//! [`evaluate`](mod@evaluate) judges: [`embeddings`] are read and put in order, [`protocols`] ask, [`metrics`] and
//! [`intervals`] make numbers of the answers, the [`floors`] answer too, [`examples`] and [`tsne`] are looked at, and
//! [`write`](mod@write) leaves it all on disk. [`report`] gathers what several evaluations left, [`learning_curves`] show
//! a training, and [`plot`] draws. [`command`] is what people type.

// Only `logodex_program::output` prints: it knows what to do when nobody reads.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod command;
pub mod embeddings;
pub mod evaluate;
pub mod examples;
pub mod facts;
pub mod floors;
pub mod history;
pub mod intervals;
pub mod learning_curves;
pub mod metrics;
pub mod plot;
pub mod protocols;
pub mod report;
pub mod settings;
pub mod terminal;
pub mod tsne;
pub mod write;
