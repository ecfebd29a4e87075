//! From a raw LogoDet-3K tree to a dataset directory.
//!
//! [`scan`] reads the tree, [`consolidate`] decides which folders are one brand and which images are copies, [`build`]
//! writes the dataset, [`split`] draws brand-wise folds, [`dataset`] reads it back, [`check`] proves it
//! whole, [`stats`] describes it, [`why`] tells what became of an image and [`export`] gives it the forms that other
//! tools read.

pub mod annotation;
pub mod build;
pub mod catalog;
pub mod check;
pub mod cli;
pub mod config;
pub mod consolidate;
pub mod croissant;
pub mod dataset;
pub mod export;
pub mod freshness;
pub mod output;
pub mod parquet;
pub mod picture;
pub mod progress;
pub mod render;
pub mod review;
pub mod scan;
pub mod shard;
pub mod split;
pub mod stats;
pub mod tables;
pub mod why;
