//! Files and names that survive a kill: written whole under a hidden name, synced, renamed into place.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::{NamedTempFile, TempPath};

/// Writes a file under a hidden name beside it, syncs it and renames it: a reader sees the old file or the new one.
///
/// # Errors
/// The file cannot be written; names it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    write(path, dir, bytes, File::sync_all)?;
    sync_dir(dir)
}

/// Writes a file of many as [`write_whole`] does, but for the syncing, which [`sync_all`] does once for all.
///
/// # Errors
/// The file cannot be written; names it.
pub fn write_one_of_many(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    write(path, dir, bytes, |_| Ok(()))
}

/// Makes all that was written to the file system of `dir` durable.
///
/// # Errors
/// The disk.
pub fn sync_all(dir: &Path) -> Result<()> {
    let sync = || rustix::fs::syncfs(File::open(dir)?).map_err(std::io::Error::from);
    sync().with_context(|| dir.display().to_string())
}

fn write(
    path: &Path,
    dir: &Path,
    bytes: &[u8],
    sync: impl Fn(&File) -> std::io::Result<()>,
) -> Result<()> {
    let name = path
        .file_name()
        .with_context(|| format!("{}: names no file", path.display()))?
        .to_string_lossy();
    // One name for each file, not a random one: what a kill leaves, the next writing of the file takes over.
    let hidden = dir.join(format!(".{name}.writing"));
    let write = || -> std::io::Result<()> {
        let file = File::create(&hidden)?;
        let hidden = TempPath::try_from_path(&hidden)?;
        let mut file = NamedTempFile::from_parts(file, hidden);
        file.write_all(bytes)?;
        sync(file.as_file())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("{}: cannot write", path.display()))
}

/// Makes renames and new names in `dir` durable.
///
/// # Errors
/// The disk.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .with_context(|| dir.display().to_string())
}

/// The names in a folder, sorted; those that are not UTF-8 are none of ours. None where there is no folder.
///
/// # Errors
/// The folder cannot be read.
pub fn entries(dir: &Path) -> Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let context = || dir.display().to_string();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(context)? {
        if let Ok(name) = entry.with_context(context)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_is_taken_over_and_a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        fs::write(dir.path().join(".a.json.writing"), b"half of a longer file").unwrap();
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(entries(dir.path()).unwrap(), ["a.json"]);

        let taken = dir.path().join("folder");
        fs::create_dir_all(taken.join("full")).unwrap();
        let error = format!("{:#}", write_whole(&taken, b"new").unwrap_err());
        assert!(
            error.contains("folder") && error.contains("cannot write"),
            "{error}"
        );
        assert_eq!(entries(dir.path()).unwrap(), ["a.json", "folder"]);
    }
}
