//! The promises of the whole system, one file per promise, tested on the binaries that users run.

mod bad_input;
mod browser;
mod cuda_kit;
mod determinism;
mod docs;
mod evaluator;
mod export;
mod faults;
mod import_rules;
mod leaks;
mod odd_input;
mod python_readers;
mod raw_tree;
mod resume;
mod truth;
mod whole_line;
mod why;
mod workspace;
