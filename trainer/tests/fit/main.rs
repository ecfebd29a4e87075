//! The trainer's promises to whoever runs it: what is refused and how, that a run continues where it was stopped, and that
//! it says when it goes wrong.

mod cached_features;
mod collapse;
mod data;
mod faults;
mod interrupt;
mod objective;
mod refuse;
mod resume;
mod steps;
mod support;
mod sweep;
