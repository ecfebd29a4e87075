//! Which program made a dataset.

/// Program and version, for the manifest.
pub fn created_by() -> String {
    format!("logodex-data {}", env!("CARGO_PKG_VERSION"))
}
