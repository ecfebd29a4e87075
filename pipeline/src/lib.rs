//! Turns a raw LogoDet-3K tree into a dataset directory.

pub mod annotation;
pub mod catalog;
pub mod consolidate;
pub mod decode;
pub mod failure;
mod jpeg;
pub mod scan;
pub mod stats;
