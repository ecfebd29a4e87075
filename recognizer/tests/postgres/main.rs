//! Galleries in PostgreSQL with pgvector, on a server that each test starts and ends.

mod errors;
mod galleries;
mod search;
mod server;
mod tls;
mod writers;
