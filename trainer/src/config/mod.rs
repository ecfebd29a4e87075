//! The experiment's configuration: [`read()`] and judged by its `rules` before any data is read; its [`keys`], what a
//! misspelt one is told (`slips`), and what `config --explain` prints ([`explain`]).

pub mod explain;
pub mod keys;
mod read;
mod rules;
mod slips;

pub use read::{parse, read};
