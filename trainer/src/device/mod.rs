//! Is a device right, and how fast is it? `logodex-train selfcheck` and `logodex-train bench`.
//!
//! Both drive the trainer's own parts and, where a whole run is meant, the program itself, so that what they say holds
//! for what users run. On a machine without a GPU they run on the CPU, which tests their logic and says nothing of
//! CUDA.

mod arithmetic;
pub mod bench;
pub mod check;
mod findings;
mod fits;
mod machine;
mod markdown;
mod parity;
mod peer;
mod rows;
mod step;
