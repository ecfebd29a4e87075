//! What is typed: each command, and what they do alike.

pub mod calibrate;
pub mod database;
pub mod embed;
pub mod enrol;
pub mod identify;
pub mod inputs;
pub mod list;
pub mod opened;
pub mod reembed;
pub mod table;
pub mod transfer;
pub mod verify;
