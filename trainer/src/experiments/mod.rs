//! Several runs compared: a sweep of configurations, and how much methods learn per image.

pub mod learning_per_image;
pub mod sweep;
