//! How sure the numbers are: 95 % intervals by [`bootstrap`] over brands, kept line by line in a [`tally`], and the paired
//! [`difference`] of two models.

pub mod bootstrap;
pub mod difference;
pub mod tally;
