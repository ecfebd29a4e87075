//! How weights move: the [`Optimizer`], its rates by a [`schedule`], and the weights' average ([`Ema`]).

mod ema;
mod optimizer;
pub mod schedule;

pub use ema::Ema;
pub use optimizer::{Optimizer, clip_grad_norm, grad_norm, zero_grad};
