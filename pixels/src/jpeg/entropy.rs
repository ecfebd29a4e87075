//! Entropy-coded data, from bits to values (annexes C and F of T.81).
//!
//! [`tables`] are the [`huffman`] tables that a file defines; [`pair`] joins the DC and the AC table of a component for
//! looking up several codes at once; [`stretch`] reads the data between two restart markers by them.

pub(super) mod huffman;
mod pair;
pub(super) mod stretch;
pub(super) mod tables;

pub(super) use pair::Pair;
