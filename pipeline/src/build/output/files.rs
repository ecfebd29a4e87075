//! Moves and removes files below a dataset.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Component, Path};

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

/// The longest name that file systems take, bytes.
pub const MAX_NAME: usize = 255;

/// Whether a name can be one component of a path below the dataset.
pub fn is_one_component(name: &str) -> bool {
    let mut components = Path::new(name).components();
    !name.contains('\0')
        && name.len() <= MAX_NAME
        && matches!(components.next(), Some(Component::Normal(first)) if first == name)
        && components.next().is_none()
}
