//! Stub.
use std::path::{Path, PathBuf};
/// A caller maps it to exit code 2 (`error.downcast_ref::<WeightsError>()`).
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("{path}: no such file")]
    NotFound { path: PathBuf },
    #[error("{path}: {reason}")]
    Unusable { path: PathBuf, reason: String },
}
pub fn load_backbone(_net: &mut super::EmbeddingNet, _path: &Path) -> Result<(), WeightsError> {
    todo!()
}
