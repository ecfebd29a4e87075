//! What the report says: its tables, its findings, and how it can be made again.

pub mod answer;
pub(super) mod caution;
pub mod commands;
pub mod finding;
pub mod findings;
pub mod protocols;
pub mod seeds;
pub mod tables;
pub mod thresholds;
