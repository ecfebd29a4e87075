//! From a raw LogoDet-3K tree to a dataset directory, in the order in which the data walk:
//!
//! 1. [`raw`] reads the tree, which is never written: pairs of image and annotation, hashes, what is refused.
//! 2. [`plan`] decides which folders are one brand, which images are copies, and what goes into which shard.
//!    [`audit`] shows a person what it decides, and takes the answers.
//! 3. [`build`] renders the pictures, writes shards and tables, and publishes the directory.
//! 4. [`split`] draws which brands are trained on, validated on and tested on.
//! 5. [`read`] proves a dataset whole, tells what became of an image, describes it, and gives it the forms that other
//!    tools read.
//!
//! [`cli`] is what can be typed, [`config`] what can be configured.

// Only `logodex_program::output` prints: it knows what to do when nobody reads.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod audit;
pub mod build;
pub mod cli;
pub mod config;
pub mod plan;
pub mod raw;
pub mod read;
pub mod serialise;
pub mod split;
pub mod version;
