//! Nothing to import: the promises of the whole system are in `promises/`, one file per promise.

/// The Rust of the book compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/formats.md")]
struct Formats;
