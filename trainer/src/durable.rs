//! Files and names that survive a kill: written whole under a hidden name, synced, renamed into place.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file under a hidden name beside it, syncs it and renames it: a reader sees the old file or the new one.
///
/// # Errors
/// The file cannot be written; names it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path
        .file_name()
        .with_context(|| format!("{}: names no file", path.display()))?
        .to_string_lossy();
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let hidden = dir.join(format!(".{name}.writing"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&hidden)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&hidden, path)
    };
    write().with_context(|| format!("{}: cannot write", path.display()))?;
    sync_dir(dir)
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
