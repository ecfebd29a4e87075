//! The trainer: from a dataset directory to a run directory, and from a run to embeddings and their evaluation.
//!
//! The computing half is here: [`torch`] (what libtorch offers beyond tch), [`model`], [`loss`], [`optimizer`],
//! [`schedule`] and [`augment`] know nothing of datasets, runs or files other than weights.

pub mod augment;
pub mod loss;
pub mod model;
pub mod optimizer;
pub mod random;
pub mod schedule;
pub mod torch;
