//! Why a dataset cannot be used: every error names its file.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why a dataset, a split or a row cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The directory holds no dataset, or the dataset no such split: a slip in what was typed.
    #[error("{}: {reason}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing, and what there is instead.
        reason: String,
    },
    /// A file of another format version, one whose length, hash or checksum does not match, or files that contradict
    /// each other.
    #[error("{}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do where that is not "build it again".
        reason: String,
    },
    /// A row number beyond the last row: a mistake of the caller.
    #[error("{}: row {row} is asked for, and it has {n_rows} rows", path.display())]
    NoSuchRow {
        /// The dataset.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The number of rows; the last is one less.
        n_rows: u64,
    },
}

impl DatasetError {
    /// A file that is not what it must be.
    pub fn corrupt(path: &Path, reason: impl Display) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn not_found(path: &Path, reason: impl Display) -> Self {
        Self::NotFound {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
