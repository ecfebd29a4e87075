//! What is done with a dataset that is there: proved whole ([`check`]), asked what became of an image ([`why`]),
//! described ([`stats`]), and given the forms that other tools read ([`export`]).

pub(crate) mod catalog;
pub mod check;
pub mod export;
pub mod stats;
pub mod why;
