//! What every program of ours does alike: exit codes, files that survive a kill.

pub mod durable;
pub mod failure;

pub use failure::{Failure, corrupt, exit_code, usage};
