//! Logos in whole scenes: where they may be, by windows or by a detector, and what is there.

pub mod command;
pub mod detector;
pub mod look;
pub mod threshold;
pub mod tiles;
