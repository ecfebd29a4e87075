//! The losses, as functions of embeddings: fp32 in, one fp32 number out, gradients by autograd.
//!
//! [`objective`] chooses among them: [`drawn_losses`] of triplets and pairs that the sampler drew, [`pair_losses`] over
//! all pairs of a batch that a [`miner`] selects, with the batch or with the [`cross_batch_memory`], and
//! [`proxy_losses`] over the training brands as classes.

pub mod cross_batch_memory;
pub mod distance;
pub mod drawn_losses;
mod log_sum_exp;
pub mod miner;
pub mod objective;
pub mod pair_losses;
pub mod proxy_losses;
pub mod selection;
