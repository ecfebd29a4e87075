//! What training is fed with, and a sheet of it.

mod fold;
mod loader;
mod preview;
