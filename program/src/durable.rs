//! Files and names that survive a kill: written whole under a hidden name, synced, renamed into place.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

/// Writes a file under a hidden name beside it, syncs it and renames it: a reader sees the old file or the new one.
///
/// # Errors
/// The file cannot be written; names it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = parent(path);
    write(path, dir, bytes, File::sync_all)?;
    sync_dir(dir)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Replaces a file that others write, too: only if it still holds `expected` (none: if there still is no such file), and
/// what it held goes to `earlier`, beside it. Returns whether it did. The file is exchanged in one step and looked at
/// afterwards, so that nothing is lost that another program writes to it meanwhile. Callers within a program take turns.
///
/// # Errors
/// A file cannot be written; names it.
pub fn replace_if(
    path: &Path,
    expected: Option<&[u8]>,
    bytes: &[u8],
    earlier: &Path,
) -> Result<bool> {
    let dir = parent(path);
    let replace = || -> std::io::Result<bool> {
        // A random name: what a kill leaves may be the file as it was, which no later writing may take over.
        let mut file = tempfile::Builder::new()
            .prefix(".replaced.")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        let Some(expected) = expected else {
            return match file.persist_noclobber(path) {
                Ok(_) => Ok(true),
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error.error),
            };
        };
        let mut hidden = file.into_temp_path();
        match renameat_with(CWD, &*hidden, CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            // A file system that cannot exchange, as NFS: the moment between look and rename stays.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                if fs::read(path)? != expected {
                    return Ok(false);
                }
                fs::copy(path, earlier)?;
                hidden.persist(path)?;
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
        // What is under the hidden name now is another's work.
        hidden.disable_cleanup(true);
        if fs::read(&hidden)? != expected {
            renameat_with(CWD, &*hidden, CWD, path, RenameFlags::EXCHANGE)?;
            // Unless it was written once more just now: then both stay.
            hidden.disable_cleanup(fs::read(&hidden)? != bytes);
            return Ok(false);
        }
        hidden.persist(earlier)?;
        Ok(true)
    };
    let done = replace().with_context(|| format!("{}: cannot write", path.display()))?;
    sync_dir(dir)?;
    Ok(done)
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
    fn a_file_is_replaced_as_it_was_seen_and_kept_or_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (path, kept) = (dir.path().join("a.toml"), dir.path().join("a-1.toml"));
        let replace = |expected: Option<&str>, new: &str| {
            let expected = expected.map(str::as_bytes);
            replace_if(&path, expected, new.as_bytes(), &kept).unwrap()
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert!(!replace(Some("old"), "new"), "there is no such file");
        assert!(replace(None, "old"));
        assert!(!replace(None, "new"), "there is one by now");
        assert!(!replace(Some("older"), "new"), "it holds something else");
        assert_eq!(read(&path), "old");
        assert_eq!(entries(dir.path()).unwrap(), ["a.toml"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::write(dir.path().join("b"), "").unwrap();
        assert_eq!(mode(&path), mode(&dir.path().join("b")), "as any new file");

        assert!(replace(Some("old"), "new"));
        assert_eq!((read(&path), read(&kept)), ("new".into(), "old".into()));
        assert_eq!(entries(dir.path()).unwrap(), ["a-1.toml", "a.toml", "b"]);
    }

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
