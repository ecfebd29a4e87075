//! What a reader of a dataset is promised: rows as they were written, and every lie caught.

mod independent;
mod lies;
mod rows;
mod tiny;
