//! From a raw LogoDet-3K tree to a dataset directory.
//!
//! `scan` reads the tree, `consolidate` decides which folders are one brand and which images are copies, [`build`]
//! writes the dataset, [`split`] draws brand-wise folds, [`dataset`] reads it back and [`check`] proves it whole.

pub mod decode;
pub mod failure;
pub mod jpeg;
pub mod stats;
