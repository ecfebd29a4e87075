//! What any server has: connections, who may ask, bodies under limits, refusals, counts, and the files of the page.

pub mod auth;
pub mod input;
pub mod listen;
pub mod metrics;
pub mod page;
pub mod problem;
