//! `logodex serve` as a process of its own, asked over loopback.

mod api;
mod browser;
mod client;
mod faults;
mod load;
mod model;
mod room;
mod scene_rate;
mod scenes;
