//! Why a file is refused.

use crate::jpeg::Defect;

/// Why a file's content is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It has no bytes.
    Empty,
    /// It ends before its last row.
    Truncated,
    /// It is no image that can be decoded, or its data are corrupt.
    Broken,
    /// It has more pixels than are decoded.
    TooLarge,
}

/// Why an image was refused, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DecodeError {
    /// The reason.
    pub reason: Refused,
    /// What was found, for a person to read.
    pub detail: String,
}

impl DecodeError {
    pub(super) fn truncated(detail: impl std::fmt::Display) -> Self {
        Self {
            reason: Refused::Truncated,
            detail: detail.to_string(),
        }
    }

    pub(super) fn broken(detail: impl std::fmt::Display) -> Self {
        Self {
            reason: Refused::Broken,
            detail: detail.to_string(),
        }
    }
}

impl From<Defect> for DecodeError {
    fn from(defect: Defect) -> Self {
        match defect {
            Defect::Truncated(detail) => Self::truncated(detail),
            Defect::Broken(detail) => Self::broken(detail),
        }
    }
}
