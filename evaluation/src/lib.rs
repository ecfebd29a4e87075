//! Judges embeddings and reports on it, without a tensor library.

pub mod judge;
pub mod learning_curves;
pub mod plot;
pub mod report;
