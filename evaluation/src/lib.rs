//! Judges embeddings and reports on it, without a tensor library.

pub mod curves;
pub mod judge;
pub mod report;
