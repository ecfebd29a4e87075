//! What the report shows pictures of: triples, queries with what they found, and brands taken for one another.

pub mod confusion;
pub mod picture;
pub mod retrievals;
pub mod triples;
