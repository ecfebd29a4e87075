//! Embeddings of rows, of any tool: read, distrusted, matched to a dataset, put in one order, and compared.
//!
//! [`set`] and [`npy`] read files, [`matching`] holds them against the dataset, [`fold_index`] says which rows there are
//! by brand and source image, [`unit_vectors`] and [`similarity`] are what protocols compute with; [`collapse`] tells those that distinguish nothing.

pub mod collapse;
pub mod fold_index;
pub mod matching;
pub mod prototypes;

pub use logodex_embeddings::{npy, set, similarity, unit_vectors};
