//! What a run tells of itself: a [`journal`] of its steps, written as `metrics` and for `tensorboard`, and warnings of
//! embeddings that [`collapse`].

pub mod collapse;
pub mod journal;
mod metrics;
mod tensorboard;
