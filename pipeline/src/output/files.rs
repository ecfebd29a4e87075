//! Moving and removing files below a dataset, and writing one of them whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Component, Path};

use anyhow::Context;

/// Moves a folder, or, where the target is there, every file below it.
pub(super) fn move_files(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    if !to.exists() {
        return std::fs::rename(from, to);
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => move_files(&entry.path(), &target)?,
            false => std::fs::rename(entry.path(), target)?,
        }
    }
    Ok(())
}

/// Removes the files below `dir/folder` that are not in `keep` (paths relative to `dir`), and folders left empty.
pub(super) fn remove_others(
    dir: &Path,
    folder: &str,
    keep: &BTreeSet<String>,
) -> std::io::Result<()> {
    let path = dir.join(folder);
    if !path.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(&path)? {
        let entry = entry?;
        let relative = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            remove_others(dir, &relative, keep)?;
        } else if !keep.contains(&relative) {
            std::fs::remove_file(entry.path())?;
        }
    }
    // Not empty: not ours to remove.
    let _ = std::fs::remove_dir(&path);
    Ok(())
}

pub(super) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file under a hidden name beside it, syncs it and renames it: a reader sees the old file or the new one.
///
/// # Errors
/// The file cannot be written; names it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    std::fs::write(&temporary, bytes)
        .and_then(|()| File::open(&temporary)?.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Whether a name can be one component of a path below the dataset.
pub fn is_one_component(name: &str) -> bool {
    let mut components = Path::new(name).components();
    !name.contains('\0')
        && matches!(components.next(), Some(Component::Normal(first)) if first == name)
        && components.next().is_none()
}
