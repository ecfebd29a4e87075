//! The trainer's promises to whoever runs it: what is refused and how, and that a run continues where it was killed.

mod dataset;
mod refuse;
mod resume;
mod support;
mod sweep;
