//! `logodex serve`: a gallery over HTTP, with a page to use it on.

mod batch;
mod brands;
pub mod command;
mod enrol;
pub mod http;
mod identify;
pub mod server;
pub mod service;
mod thumbnails;
mod watched;
mod wire;
