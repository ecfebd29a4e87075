//! What every program of ours does alike: exit codes, files that survive a kill, what it prints, logs and bars, where ONNX
//! Runtime lies.

pub mod durable;
pub mod failure;
pub mod onnxruntime;
pub mod output;
pub mod progress;
pub mod threads;

pub use failure::{Failure, corrupt, exit_code, usage};
