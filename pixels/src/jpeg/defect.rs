//! What can be wrong with a JPEG.

/// What keeps a JPEG from being decoded in full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The file ends, or says that it ends, before its last row.
    #[error("{0}")]
    Truncated(String),
    /// It is no JPEG, or its data are corrupt.
    #[error("{0}")]
    Broken(String),
}

pub(super) fn truncated<T>(text: impl Into<String>) -> Result<T, Defect> {
    Err(Defect::Truncated(text.into()))
}

pub(super) fn broken<T>(text: impl Into<String>) -> Result<T, Defect> {
    Err(Defect::Broken(text.into()))
}
