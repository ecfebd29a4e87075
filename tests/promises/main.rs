//! The promises of the whole system, one file per promise, tested on the binaries that users run.

mod bad_input;
mod determinism;
mod import_rules;
mod odd_input;
mod raw_tree;
mod resume;
mod truth;
mod whole_line;
mod workspace;
