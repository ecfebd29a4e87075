//! ONNX: a network as a graph of operators ([`graph`]), the file that holds it ([`messages`]), what libtorch makes of it
//! ([`interpreter`]), and the same graph in fewer bits ([`half`], [`int8`]).

pub mod graph;
pub mod half;
pub mod int8;
pub mod interpreter;
mod messages;
