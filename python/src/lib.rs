//! The extension module below the Python package `logodex`: a skin over the crates, without logic of its own.

mod arrays;
mod dataset;
mod errors;
mod judge;
mod opened;
mod pictures;
mod recognizer;
mod split;
mod threads;

/// What `logodex` exports; `python/logodex/_logodex.pyi` says with which types.
#[pyo3::pymodule]
mod _logodex {
    #[pymodule_export]
    use crate::judge::{gathered, judge, report};
    #[pymodule_export]
    use crate::opened::Dataset;
    #[pymodule_export]
    use crate::recognizer::Recognizer;
    #[pymodule_export]
    use crate::split::{Fold, Split};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::threads::imported(module.py())
    }
}
