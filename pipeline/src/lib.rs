//! From a raw LogoDet-3K tree to a dataset directory.
//!
//! [`scan`] reads the tree, [`consolidate`] decides which folders are one brand and which images are copies, [`build`]
//! writes the dataset, [`split`] draws brand-wise folds, [`read`] proves it whole, describes it, tells what became of an image and gives it the forms that other tools read.

pub mod annotation;
pub mod build;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod consolidate;
pub mod croissant;
pub mod freshness;
pub mod output;
pub mod parquet;
pub mod picture;
pub mod read;
pub mod render;
pub mod review;
pub mod scan;
pub mod shard;
pub mod split;
pub mod tables;
