//! A gallery in a PostgreSQL database with pgvector: what several machines share.
//!
//! A change is one transaction, made by who holds the gallery's advisory lock: it sees what is published, decides, writes the
//! rows that change, and commits. So a kill, a lost connection or a refused row leaves what was there before, and of two
//! writers the second sees what the first has written. A reader loads everything as of one moment and searches in memory with
//! the kernel that a directory is searched with, so that answers are the same to the bit; [`search`] asks the server instead.

pub mod address;
mod database;
mod failure;
pub mod index;
mod kept;
mod read;
pub mod search;
mod sslmode;
mod tables;
mod tls;
mod write;

pub use database::Postgres;
