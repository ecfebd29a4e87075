//! What training is fed with, and a sheet of it.

mod dataset;
mod loader;
mod preview;
