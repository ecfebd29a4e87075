//! Reads `manifest.json`, and believes it only where it is sealed and does not contradict itself.

use std::io::ErrorKind;
use std::path::{Component, Path};

use logodex_schemas::FormatError;
use logodex_schemas::dataset::{Encoding, Manifest, manifest_header};
use logodex_schemas::header::is_sealed;

use crate::error::DatasetError;

/// The name of the manifest. A directory is a dataset if and only if it has one; it is written last.
pub const MANIFEST: &str = "manifest.json";

/// Reads the manifest of the dataset in `dir`, and returns it with its BLAKE3, hexadecimal, which is the dataset's
/// identity.
///
/// # Errors
/// [`DatasetError::NotFound`] when `dir` is no dataset. [`DatasetError::Corrupt`] when it is a dataset without its
/// manifest, or the manifest is of another version, was changed, or contradicts itself.
pub fn read_manifest(dir: &Path) -> Result<(Manifest, String), DatasetError> {
    let path = dir.join(MANIFEST);
    let json = match std::fs::read(&path) {
        Ok(json) => json,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(without_manifest(dir));
        }
        Err(error) => return Err(DatasetError::corrupt(&path, error)),
    };
    let lie = |what: String| DatasetError::corrupt(&path, what);
    let manifest: Manifest =
        manifest_header()
            .parse(&json)
            .map_err(|error| match error.is::<FormatError>() {
                true => lie(error.to_string()),
                false => lie(format!("{error}: the manifest is damaged")),
            })?;
    if !is_sealed(&json) {
        return Err(lie(
            "its seal is broken: it was changed or is damaged; build the dataset again".to_owned(),
        ));
    }
    match contradiction(&manifest) {
        Some(what) => Err(lie(what)),
        None => Ok((manifest, blake3::hash(&json).to_hex().to_string())),
    }
}

/// What a directory is that has no manifest: a dataset that lost it or never got it, or none at all.
fn without_manifest(dir: &Path) -> DatasetError {
    if ["brands.csv", "shards"]
        .iter()
        .any(|name| dir.join(name).exists())
    {
        return DatasetError::corrupt(
            &dir.join(MANIFEST),
            "missing: a directory is a dataset only when it has its manifest; build it to the end with `logodex-data build`",
        );
    }
    let why = match dir.is_dir() {
        true => "it has no manifest.json",
        false => "there is no such directory",
    };
    DatasetError::not_found(
        dir,
        format_args!("is not a dataset: {why}; `logodex-data build` makes one"),
    )
}

/// What in a manifest cannot be true.
fn contradiction(manifest: &Manifest) -> Option<String> {
    if let Some(problem) = manifest.config.invalid() {
        return Some(problem);
    }
    if manifest.encoding == Encoding::Auto {
        return Some("it does not say how its shards store a row".to_owned());
    }
    let mut rows = 0;
    for entry in &manifest.shards {
        if !is_inside(&entry.path) {
            return Some(format!("shard {:?} lies outside the dataset", entry.path));
        }
        // Of so few rows no length overflows.
        if entry.first_row != rows || entry.n_rows == 0 || entry.n_rows > u64::from(u32::MAX) {
            return Some(format!("{} does not continue at row {rows}", entry.path));
        }
        rows += entry.n_rows;
    }
    if rows != manifest.counts.rows {
        return Some(format!(
            "its shards hold {rows} rows, and it counts {}",
            manifest.counts.rows
        ));
    }
    let outside = manifest.files.keys().find(|file| !is_inside(file));
    outside.map(|file| format!("file {file:?} lies outside the dataset"))
}

/// Whether a relative path stays below the folder it is relative to.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
