//! Errors of the crates as the exceptions of `logodex.errors`.

use std::path::{Path, PathBuf};

use logodex_dataset::DatasetError;
use logodex_program::Failure;
use pyo3::prelude::*;

pyo3::import_exception!(logodex.errors, LogodexError);
pyo3::import_exception!(logodex.errors, NotFoundError);
pyo3::import_exception!(logodex.errors, CorruptError);
pyo3::import_exception!(logodex.errors, RowError);
pyo3::import_exception!(logodex.errors, PictureError);
pyo3::import_exception!(logodex.errors, UsageError);

/// A picture that cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// Its file, where it has one.
    pub path: Option<PathBuf>,
    /// Which, and why.
    pub said: String,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Unusable {}

/// The exception of a dataset's error, with these words; its `path` is the file.
fn raised(error: &DatasetError, said: String) -> PyErr {
    let (raised, path) = match error {
        DatasetError::NotFound { path, .. } => (NotFoundError::new_err(said), path),
        DatasetError::Corrupt { path, .. } => (CorruptError::new_err(said), path),
        DatasetError::NoSuchRow { path, .. } => (RowError::new_err(said), path),
    };
    with_path(raised, path)
}

/// The exception of a dataset's error.
pub fn of_dataset(error: &DatasetError) -> PyErr {
    raised(error, error.to_string())
}

/// The exception of any error of the crates, by what is in its chain.
pub fn of_any(error: &anyhow::Error) -> PyErr {
    let said = format!("{error:#}");
    if let Some(cause) = error.chain().find_map(|cause| cause.downcast_ref()) {
        return raised(cause, said);
    }
    if let Some(picture) = error.downcast_ref::<Unusable>() {
        let raised = PictureError::new_err(said);
        return match &picture.path {
            Some(path) => with_path(raised, path),
            None => raised,
        };
    }
    // A failure that was added as context is found by the error itself alone.
    let outer = error.downcast_ref();
    match outer.or_else(|| error.chain().find_map(|cause| cause.downcast_ref())) {
        Some(Failure::Usage(_)) => UsageError::new_err(said),
        Some(Failure::Corrupt(_)) => CorruptError::new_err(said),
        _ => LogodexError::new_err(said),
    }
}

/// A mistake of the caller.
pub fn usage(said: impl Into<String>) -> PyErr {
    UsageError::new_err(said.into())
}

/// The exception, with the file that it is about.
pub fn with_path(error: PyErr, path: &Path) -> PyErr {
    Python::attach(|py| match error.value(py).setattr("path", path) {
        Ok(()) => error,
        Err(other) => other,
    })
}
