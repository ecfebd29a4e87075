//! `logodex-data` on small trees: what is built, what is refused, and what `check` finds.

mod again;
mod audit;
mod broken;
mod check;
mod names;
mod planned;
mod refused;
mod rows;
mod tree;
