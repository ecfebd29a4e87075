//! What is typed: each command, and what they do alike.

pub mod enrol;
pub mod inputs;
pub mod list;
pub mod opened;
pub mod table;
