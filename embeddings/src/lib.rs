//! Vectors that stand for pictures: read and written as files, and compared exactly.
//!
//! [`set`] and [`npy`] are files, [`unit_vectors`] what is compared, [`similarity`] the kernel, and [`nearest`] finds the most
//! similar of a gallery. The evaluator and the recogniser compute with nothing else, so that they come to the same numbers.

pub mod nearest;
pub mod npy;
pub mod set;
pub mod similarity;
pub mod unit_vectors;
