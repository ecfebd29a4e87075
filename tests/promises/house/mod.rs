//! Of the house itself: what it imports, what its pages say, and that others can read what it writes.

mod docs;
mod flags;
mod import_rules;
mod layout;
mod output;
pub mod python_readers;
