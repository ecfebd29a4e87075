//! From a raw LogoDet-3K tree to a dataset directory.

pub mod annotation;
pub mod catalog;
pub mod consolidate;
pub mod scan;
