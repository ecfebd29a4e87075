//! Skeleton.
pub mod eval;
pub mod random;
