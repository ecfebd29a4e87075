//! The experiment's configuration: [`read()`] and judged by its `rules` before any data is read; its [`keys`], what a
//! misspelt one is told (`slips`), what `config --explain` prints ([`explain`]), and when two are one ([`identity`]).

pub mod explain;
pub mod identity;
pub mod keys;
mod read;
mod rules;
mod slips;

pub use read::{parse, read};
