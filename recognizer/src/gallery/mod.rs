//! What is enrolled: a [`Gallery`] is a snapshot of it, which is searched, and of which every change gives the next one.
//!
//! [`contents`] is what a gallery holds, and what can be changed about it; [`store`] where it is kept, [`directory`] the one that
//! needs nothing; [`enrol`] what is refused, and how a brand stands among the others.

pub mod contents;
pub mod directory;
pub mod enrol;
pub mod matrix;
pub mod postgres;
pub mod snapshot;
pub mod store;

pub use snapshot::Gallery;
