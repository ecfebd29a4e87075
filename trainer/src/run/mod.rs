//! A run on disk: its directory ([`Run`]), where it stands ([`state`]), its checkpoints ([`checkpoint`]) and how Ctrl-C
//! ends it ([`interrupt`]).

pub mod checkpoint;
mod directory;
pub mod interrupt;
pub mod state;

pub use directory::{Found, Run, Which, find, noted_dataset, open, refuse_existing};
