//! From a dataset to batches on the device: which rows ([`logodex_sampling`]), in which batches ([`batch`]), their pictures
//! ([`loader`]), and a sheet of them for people ([`preview`]).

pub mod batch;
pub mod feature_file;
pub mod loader;
pub mod preview;
