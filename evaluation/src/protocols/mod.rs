//! What embeddings are asked. [`questions`] draws everything from the seed and the rows alone, so that every model
//! answers the same; each protocol says what it draws, how it is judged and how its questions are listed in a file.

pub mod calibration;
pub mod episode;
pub mod n_way;
pub mod open_set;
pub mod paper;
pub mod questions;
pub mod retrieval;
pub mod score;
pub mod slices;
pub mod threshold;
