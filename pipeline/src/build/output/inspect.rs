//! Says whether a directory may be filled by a build: looked at before anything is read or written, and again under the
//! lock.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::files::MAX_NAME;
use super::paths::{ANNOTATIONS, FILES, LOCK, SHARDS, SPLITS, WORK};
use crate::raw::listing::locate;
use logodex_dataset::{MANIFEST, read_manifest};
use logodex_program::failure::usage;

/// Refuses, before anything is read or written, a directory that a build may not fill.
///
/// # Errors
/// Usage: `out` lies in `raw`, is a file, holds files that no build of ours left, or is being built. Corrupt: it is a
/// dataset of another version, or a damaged one.
pub fn inspect(out: &Path, raw: &Path) -> anyhow::Result<()> {
    if lies_in_raw(out, raw) {
        return Err(usage(format!(
            "{} lies in {}, which is never written; choose another --out",
            out.display(),
            raw.display()
        )));
    }
    // What is refused is listed beside the directory.
    let name = out.file_name().map_or(0, |name| name.len());
    if name > MAX_NAME - ".rejects.jsonl".len() {
        return Err(usage(format!(
            "--out: the name of the directory has {name} bytes, and {} are the most; choose a shorter one",
            MAX_NAME - ".rejects.jsonl".len()
        )));
    }
    inspect_content(out)?;
    // Open to write, because NFS locks no other file.
    match File::options().write(true).open(out.join(WORK).join(LOCK)) {
        Ok(held) => lock(&held, "build", out),
        Err(_) => Ok(()),
    }
}

/// Whether a path, which may not exist yet, lies in the raw tree: in the folder that holds its categories. Beside a
/// `LogoDet-3K` is not in it.
pub(crate) fn lies_in_raw(path: &Path, raw: &Path) -> bool {
    let root = locate(raw).ok().and_then(|root| root.canonicalize().ok());
    root.is_some_and(|root| real(path).is_some_and(|path| path.starts_with(root)))
}

/// The real path of something that may not exist yet.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut existing = absolute.as_path();
    let mut rest = Vec::new();
    loop {
        if let Ok(real) = existing.canonicalize() {
            return Some(rest.iter().rev().fold(real, |path, name| path.join(name)));
        }
        rest.push(existing.file_name()?);
        existing = existing.parent()?;
    }
}

/// Whether the directory is a dataset.
pub fn is_dataset(out: &Path) -> bool {
    out.join(MANIFEST).exists()
}

pub(super) fn inspect_content(out: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(usage(format!("{}: {error}", out.display()))),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", out.display()))?;
        names.insert(entry.file_name().to_string_lossy().into_owned());
    }
    let ours = |name: &str| {
        FILES.contains(&name) || [WORK, MANIFEST, ANNOTATIONS, SHARDS, SPLITS].contains(&name)
    };
    if is_dataset(out) {
        read_manifest(out)?;
        if !names.contains(WORK) {
            return Err(usage(format!(
                "{} is a dataset already, and how it was built is not known here (no {WORK}); remove it first, or choose another --out",
                out.display()
            )));
        }
    }
    let unfinished = names.contains(WORK);
    if let Some(foreign) = names.iter().find(|name| !unfinished || !ours(name)) {
        return Err(usage(format!(
            "{} holds files that are no build of ours ({foreign}); choose an empty or new --out",
            out.display()
        )));
    }
    Ok(())
}

pub(crate) fn lock(marker: &File, work: &str, out: &Path) -> anyhow::Result<()> {
    match marker.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(usage(format!(
            "another {work} is writing {}; wait for it, or choose another --out",
            out.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", out.display()))
        }
    }
}
