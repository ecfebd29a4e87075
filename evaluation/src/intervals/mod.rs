//! How sure the numbers are: 95 % intervals by [`bootstrap`] over brands, kept line by line in a [`tally`], the paired
//! [`difference`] of two models, and what [`training_seeds`] do.

pub mod bootstrap;
pub mod difference;
pub mod tally;
pub mod training_seeds;
