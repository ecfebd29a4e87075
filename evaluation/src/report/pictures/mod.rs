//! What the page shows pictures of the dataset for; each file here gives the template what it needs.

pub mod confused_pairs;
pub mod examples;
pub mod picture;
pub mod retrievals;
