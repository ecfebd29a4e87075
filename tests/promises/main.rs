//! The promises of the whole system, one file per promise, tested on the binaries that users run.

mod browser;
mod dataset;
mod house;
mod models;
mod workspace;
