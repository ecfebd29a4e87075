//! The directory that a build writes: who may write it, and when it becomes a dataset.
//!
//! While a build runs, the directory holds a locked marker file. A marker without a lock is what a killed build left:
//! its files are removed and the build starts afresh. A directory with anything else in it is never touched.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use logodex_schemas::dataset::{FileEntry, Manifest};

use crate::failure::usage;

/// Present while a build runs, or after one was killed.
pub const MARKER: &str = ".building";
/// Present in every dataset, and written last.
pub const MANIFEST: &str = "manifest.json";
/// The files at the top of a dataset besides the manifest, which lists them.
pub const FILES: [&str; 6] = [
    "brand_to_index.csv",
    "brands.csv",
    "catalog.parquet",
    "consolidation.json",
    "croissant.json",
    "rejects.jsonl",
];
/// The folders that a build makes.
const FOLDERS: [&str; 2] = ["annotations", "shards"];

/// A directory that this process alone may fill. Dropped without [`Output::publish`], it is emptied again.
#[derive(Debug)]
pub struct Output {
    dir: PathBuf,
    made: bool,
    published: bool,
    /// Holds the lock for as long as it is open.
    _marker: File,
}

/// Refuses, before anything is read or written, a directory that a build may not fill.
///
/// # Errors
/// Usage: `out` lies in `raw`, is a dataset, is a file, holds files that no build of ours left, or is being built.
pub fn inspect(out: &Path, raw: &Path) -> anyhow::Result<()> {
    if let (Ok(raw_real), Some(out_real)) = (raw.canonicalize(), real(out))
        && out_real.starts_with(&raw_real)
    {
        return Err(usage(format!(
            "{} lies in {}, which is never written; choose another --out",
            out.display(),
            raw.display()
        )));
    }
    inspect_content(out)?;
    match File::open(out.join(MARKER)) {
        Ok(marker) => lock(&marker, out),
        Err(_) => Ok(()),
    }
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

fn inspect_content(out: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(usage(format!("{}: {error}", out.display()))),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", out.display()))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    if names.iter().any(|name| name == MANIFEST) {
        return Err(usage(format!(
            "{} is a dataset already; remove it first, or choose another --out",
            out.display()
        )));
    }
    let ours = |name: &String| {
        let name = name.as_str();
        name == MARKER || FILES.contains(&name) || FOLDERS.contains(&name) || name == "manifest.tmp"
    };
    let unfinished = names.iter().any(|name| name == MARKER);
    if let Some(foreign) = names.iter().find(|name| !unfinished || !ours(name)) {
        return Err(usage(format!(
            "{} holds files that are no unfinished build of ours ({foreign}); choose an empty or new --out",
            out.display()
        )));
    }
    Ok(())
}

fn lock(marker: &File, out: &Path) -> anyhow::Result<()> {
    match marker.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(usage(format!(
            "another build is writing {}; wait for it, or choose another --out",
            out.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", out.join(MARKER).display()))
        }
    }
}

impl Output {
    /// Makes the directory if need be, locks it, and removes what an unfinished build left in it.
    ///
    /// # Errors
    /// As [`inspect`], or what the file system reports.
    pub fn claim(out: &Path) -> anyhow::Result<Self> {
        inspect_content(out)?;
        let made = !out.exists();
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let path = out.join(MARKER);
        let marker = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        lock(&marker, out)?;
        // Another build may have finished between the first look and the lock.
        inspect_content(out)?;
        let output = Self {
            dir: out.to_owned(),
            made,
            published: false,
            _marker: marker,
        };
        output
            .clear()
            .with_context(|| format!("cannot empty {}", out.display()))?;
        for folder in FOLDERS {
            std::fs::create_dir(out.join(folder))
                .with_context(|| format!("cannot write {}", out.display()))?;
        }
        Ok(output)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn clear(&self) -> std::io::Result<()> {
        let absent_is_fine = |result: std::io::Result<()>| match result {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        for folder in FOLDERS {
            absent_is_fine(std::fs::remove_dir_all(self.dir.join(folder)))?;
        }
        for file in FILES.into_iter().chain(["manifest.tmp"]) {
            absent_is_fine(std::fs::remove_file(self.dir.join(file)))?;
        }
        Ok(())
    }

    /// Writes one of [`FILES`].
    ///
    /// # Errors
    /// What the file system reports.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<FileEntry> {
        let path = self.dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(FileEntry {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        })
    }

    /// Makes the directory a dataset: one sync for all small files, then the manifest, by rename.
    ///
    /// # Errors
    /// What the file system reports; the directory is then no dataset and is emptied.
    pub fn publish(mut self, manifest: &Manifest) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec_pretty(manifest)?;
        json.push(b'\n');
        let (temporary, target) = (self.dir.join("manifest.tmp"), self.dir.join(MANIFEST));
        let written = (|| -> std::io::Result<()> {
            let dir = File::open(&self.dir)?;
            rustix::fs::syncfs(&dir)?;
            std::fs::write(&temporary, &json)?;
            File::open(&temporary)?.sync_all()?;
            std::fs::rename(&temporary, &target)?;
            self.published = true;
            std::fs::remove_file(self.dir.join(MARKER))?;
            dir.sync_all()
        })();
        written.with_context(|| format!("cannot publish {}", self.dir.display()))
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

impl Drop for Output {
    fn drop(&mut self) {
        if !self.published {
            // A failure here leaves the marker, so that the next build clears the rest.
            let cleared = self.clear();
            if cleared.is_ok() && std::fs::remove_file(self.dir.join(MARKER)).is_ok() && self.made {
                let _ = std::fs::remove_dir(&self.dir);
            }
        }
    }
}

/// Whether a name can be one component of a path below the dataset.
pub fn is_one_component(name: &str) -> bool {
    let mut components = Path::new(name).components();
    !name.contains('\0')
        && matches!(components.next(), Some(Component::Normal(first)) if first == name)
        && components.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit_code;

    fn refused(result: anyhow::Result<impl Sized>, says: &str) {
        let Err(error) = result else {
            panic!("not refused: {says}")
        };
        assert_eq!(exit_code(&error), 2, "{error:#}");
        assert!(format!("{error:#}").contains(says), "{error:#}");
    }

    #[test]
    fn only_an_absent_an_empty_and_an_unfinished_directory_may_be_filled() {
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("raw");
        std::fs::create_dir(&raw).unwrap();
        let out = dir.path().join("a/b");
        inspect(&out, &raw).unwrap();
        assert!(!out.exists(), "looking makes nothing");
        drop(Output::claim(&out).unwrap());
        assert!(!out.exists(), "a failed build leaves nothing");

        std::fs::create_dir_all(&out).unwrap();
        drop(Output::claim(&out).unwrap());
        assert_eq!(
            std::fs::read_dir(&out).unwrap().count(),
            0,
            "and keeps the directory that it found"
        );

        // As a killed build leaves it.
        std::fs::create_dir_all(out.join("shards")).unwrap();
        std::fs::write(out.join("shards/00000.tmp"), b"half").unwrap();
        std::fs::write(out.join(MARKER), b"").unwrap();
        inspect(&out, &raw).unwrap();
        let claim = Output::claim(&out).unwrap();
        assert_eq!(std::fs::read_dir(out.join("shards")).unwrap().count(), 0);
        refused(inspect(&out, &raw), "another build");
        refused(Output::claim(&out), "another build");
        drop(claim);

        std::fs::write(out.join("thesis.tex"), b"").unwrap();
        refused(inspect(&out, &raw), "thesis.tex");
        std::fs::write(out.join(MARKER), b"").unwrap();
        refused(Output::claim(&out), "thesis.tex");
        assert!(out.join("thesis.tex").exists());
        std::fs::write(out.join(MANIFEST), b"{}").unwrap();
        refused(inspect(&out, &raw), "is a dataset already");
        refused(inspect(&out.join("thesis.tex"), &raw), "thesis.tex");
    }

    #[test]
    fn the_raw_tree_is_no_place_for_a_dataset() {
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("raw");
        std::fs::create_dir_all(raw.join("Food")).unwrap();
        refused(inspect(&raw, &raw), "never written");
        refused(inspect(&raw.join("x/y"), &raw), "never written");
        refused(inspect(&raw.join("Food/../x"), &raw), "never written");
        std::os::unix::fs::symlink(&raw, dir.path().join("link")).unwrap();
        refused(inspect(&dir.path().join("link/x"), &raw), "never written");
        inspect(&dir.path().join("raw2"), &raw).unwrap();
    }

    #[test]
    fn names_that_are_paths_are_told() {
        for good in ["76", "Bravo!,  Cucina Italiana", "L'OCCITANE", "..a", "a.b"] {
            assert!(is_one_component(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "/a", "a/", "a\0b"] {
            assert!(!is_one_component(bad), "{bad}");
        }
    }
}
