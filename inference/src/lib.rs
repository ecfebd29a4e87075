//! An exported model, run on pictures without libtorch: [`picture`] makes of an image's bytes the squares that the model takes, as
//! the pipeline does, to the bit, and [`Model::embed`] gives an embedding of length one for each.

pub mod model;
pub mod picture;

pub use model::Model;
