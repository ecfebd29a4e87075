//! `logodex-data` on small trees: what is built, what is refused, and what `check` finds.

mod broken;
mod check;
mod names;
mod refused;
mod rows;
mod tree;
