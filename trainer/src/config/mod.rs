//! The experiment's configuration: [`read()`] and judged by its `rules` before any data is read; its [`keys`], what a
//! misspelt one is told (`slips`) and what one of PyTorch's (`habits`), what it hardly means ([`warnings()`]), what
//! `config --explain` prints ([`explain`]), and when two are one ([`identity`]).

pub mod explain;
mod habits;
pub mod identity;
pub mod keys;
mod read;
mod rules;
mod slips;
mod warnings;

pub use read::{parse, read};
pub use warnings::warnings;
