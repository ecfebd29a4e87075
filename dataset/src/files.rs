//! Reads the small files of a dataset whole, and compares them with what the manifest says of them.

use std::io::ErrorKind;
use std::path::Path;

use logodex_schemas::dataset::{FileEntry, Manifest};
use serde::de::DeserializeOwned;

use crate::error::DatasetError;

/// Reads a file; `hint` says what its absence means.
pub(crate) fn read(path: &Path, hint: &str) -> Result<Vec<u8>, DatasetError> {
    std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => DatasetError::corrupt(path, format_args!("missing: {hint}")),
        _ => DatasetError::corrupt(path, error),
    })
}

/// Reads a file of the dataset in `dir` that its manifest lists, for example `rejects.jsonl`.
///
/// # Errors
/// [`DatasetError::Corrupt`] when the manifest does not list it, it is missing, or its length or BLAKE3 is another.
pub fn read_listed(dir: &Path, manifest: &Manifest, name: &str) -> Result<Vec<u8>, DatasetError> {
    let path = dir.join(name);
    let Some(FileEntry { bytes, blake3 }) = manifest.files.get(name) else {
        return Err(DatasetError::corrupt(
            &path,
            "the manifest does not list it",
        ));
    };
    let content = read(&path, "the dataset is incomplete; build it again")?;
    if content.len() as u64 != *bytes {
        return Err(DatasetError::corrupt(
            &path,
            format_args!(
                "has {} bytes, the manifest says {bytes}: it is truncated or was changed; build the dataset again",
                content.len()
            ),
        ));
    }
    if blake3::hash(&content).to_hex().as_str() != blake3 {
        return Err(DatasetError::corrupt(
            &path,
            "does not match its BLAKE3 in the manifest; it was changed after the dataset was built",
        ));
    }
    Ok(content)
}

/// The rows of a CSV file with a header line; `path` is for the error.
///
/// # Errors
/// [`DatasetError::Corrupt`], with the line that does not fit the type.
pub fn parse_csv<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Vec<T>, DatasetError> {
    csv::Reader::from_reader(bytes)
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| DatasetError::corrupt(path, error))
}
