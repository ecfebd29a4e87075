//! Of datasets: built whole, the same everywhere, and honest about what was wrong.

mod audit;
mod bad_input;
mod determinism;
pub mod export;
mod faults;
mod leaks;
mod odd_input;
mod raw_tree;
mod truth;
mod webdataset;
mod why;
