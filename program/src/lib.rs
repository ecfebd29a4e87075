//! What every program of ours does alike: exit codes, files that survive a kill, logs and bars.

pub mod durable;
pub mod failure;
pub mod progress;

pub use failure::{Failure, corrupt, exit_code, usage};
