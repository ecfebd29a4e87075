//! Made-up but lifelike runs.

mod curves;
pub mod evaluation;
pub mod model;
mod pictures;
pub mod stats;
mod training;
