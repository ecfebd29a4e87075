//! The directory that a build writes: who may write it, what of an earlier build is used again, and when it becomes a
//! dataset.
//!
//! All is prepared in the hidden folder `.build` and moved into place at the end, the manifest last, by rename. A shard
//! that is finished is noted in `.build/shards.jsonl` with the key of all that went into it, so that the next build of
//! the same directory, after a kill or after a change of the raw tree, writes only shards whose key is new. `.build` is no
//! part of the dataset and may be deleted at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use logodex_schemas::dataset::{FileEntry, Manifest, ShardEntry};
use logodex_schemas::header::seal;
use serde::{Deserialize, Serialize};

use crate::dataset::read_manifest;
use crate::failure::usage;
use crate::render::Outcome;

/// What a build works in.
pub const WORK: &str = ".build";
/// Present in every dataset, and written last.
pub const MANIFEST: &str = "manifest.json";
/// The files at the top of a dataset besides the manifest, which lists them.
pub const FILES: [&str; 7] = [
    "boxes.csv",
    "brand_to_index.csv",
    "brands.csv",
    "catalog.parquet",
    "consolidation.json",
    "croissant.json",
    "rejects.jsonl",
];
const ANNOTATIONS: &str = "annotations";
const SHARDS: &str = "shards";
const SPLITS: &str = "splits";
const LOCK: &str = "lock";
const STAGE: &str = "stage";
const JOURNAL: &str = "shards.jsonl";

/// A shard that some build finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finished {
    /// Hash of all that went into it.
    pub key: String,
    /// Where its samples began in the catalog.
    pub first_sample: usize,
    /// Its file.
    pub entry: ShardEntry,
    /// What it holds, pixels aside.
    pub outcome: Outcome,
}

/// A directory that this process alone may fill. Dropped without [`Output::publish`], what was there is there still, and
/// finished shards are kept for the next build.
#[derive(Debug)]
pub struct Output {
    dir: PathBuf,
    made: bool,
    published: bool,
    /// The shards of the dataset that is there already, by path.
    present: BTreeMap<String, ShardEntry>,
    /// What earlier builds finished, by path, the latest last.
    finished: BTreeMap<String, Vec<Finished>>,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

/// Refuses, before anything is read or written, a directory that a build may not fill.
///
/// # Errors
/// Usage: `out` lies in `raw`, is a file, holds files that no build of ours left, or is being built. Corrupt: it is a
/// dataset of another version, or a damaged one.
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
    match File::open(out.join(WORK).join(LOCK)) {
        Ok(held) => lock(&held, "build", out),
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

/// Whether the directory is a dataset.
pub fn is_dataset(out: &Path) -> bool {
    out.join(MANIFEST).exists()
}

fn inspect_content(out: &Path) -> anyhow::Result<()> {
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

impl Output {
    /// Makes the directory if need be, locks it, and learns what earlier builds finished.
    ///
    /// # Errors
    /// As [`inspect`], or what the file system reports.
    pub fn claim(out: &Path) -> anyhow::Result<Self> {
        inspect_content(out)?;
        let made = !out.exists();
        let work = out.join(WORK);
        std::fs::create_dir_all(&work)
            .with_context(|| format!("cannot make {}", work.display()))?;
        let path = work.join(LOCK);
        let held = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        lock(&held, "build", out)?;
        // Another build may have finished between the first look and the lock.
        inspect_content(out)?;
        let present = match is_dataset(out) {
            true => read_manifest(out)?.0.shards,
            false => Vec::new(),
        };
        let output = Self {
            dir: out.to_owned(),
            made,
            published: false,
            present: present.into_iter().map(|s| (s.path.clone(), s)).collect(),
            finished: read_journal(&work.join(JOURNAL)),
            _lock: held,
        };
        output
            .clear_stage()
            .and_then(|()| std::fs::create_dir_all(output.stage().join(SHARDS)))
            .with_context(|| format!("cannot write {}", work.display()))?;
        Ok(output)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where files are prepared, under the paths that they shall have in the dataset.
    pub fn stage(&self) -> PathBuf {
        self.dir.join(WORK).join(STAGE)
    }

    /// The journal of finished shards, to append to.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn journal(&self) -> anyhow::Result<Journal> {
        let path = self.dir.join(WORK).join(JOURNAL);
        let file = File::options().create(true).append(true).open(&path);
        let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
        // A line that a kill cut short must not swallow the next.
        file.write_all(b"\n")?;
        Ok(Journal { path, file })
    }

    /// A finished shard of this path and key, if its file is there and as it was. What a published dataset lists is
    /// believed by its length (`check` reads the rest); what an unfinished build left is read.
    pub fn reuse(&self, path: &str, key: &str) -> Option<Finished> {
        let candidates = self.finished.get(path)?.iter().rev();
        candidates
            .filter(|found| found.key == key)
            .find_map(|found| {
                let entry = &found.entry;
                let of_length = |file: &Path| {
                    file.metadata()
                        .is_ok_and(|found| found.is_file() && found.len() == entry.bytes)
                };
                let whole = |file: &Path| {
                    let mut hasher = blake3::Hasher::new();
                    of_length(file)
                        && File::open(file)
                            .and_then(|file| hasher.update_reader(file).map(|_| ()))
                            .is_ok()
                        && hasher.finalize().to_hex().as_str() == entry.blake3
                };
                let in_place = self.dir.join(path);
                let there = whole(&self.stage().join(path))
                    || match self.present.get(path) {
                        Some(listed) => listed.blake3 == entry.blake3 && of_length(&in_place),
                        None => whole(&in_place),
                    };
                there.then(|| found.clone())
            })
    }

    /// Removes what a killed build prepared, but for its shards.
    fn clear_stage(&self) -> std::io::Result<()> {
        let entries = match std::fs::read_dir(self.stage()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true if entry.file_name() == SHARDS => {}
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }

    /// Prepares one of [`FILES`].
    ///
    /// # Errors
    /// What the file system reports.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<FileEntry> {
        let path = self.stage().join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(FileEntry {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        })
    }

    /// Makes the directory a dataset: one sync for all small files, everything into its place, then the manifest, by
    /// rename. From the first move to the last a dataset that was there is none; a kill in between is mended by the next
    /// build. `finished` are its shards, `annotations` the paths of all its annotations. Returns the manifest's BLAKE3.
    ///
    /// # Errors
    /// What the file system reports; the next build goes on from there.
    pub fn publish(
        mut self,
        manifest: &Manifest,
        finished: &[Finished],
        annotations: &BTreeSet<String>,
    ) -> anyhow::Result<String> {
        let json = seal(manifest)?;
        let (work, stage, target) = (self.dir.join(WORK), self.stage(), self.dir.join(MANIFEST));
        let shards: BTreeSet<String> = manifest.shards.iter().map(|s| s.path.clone()).collect();
        let mut journal = Vec::new();
        for line in finished {
            serde_json::to_writer(&mut journal, line)?;
            journal.push(b'\n');
        }
        let published = (|| -> std::io::Result<()> {
            let dir = File::open(&self.dir)?;
            std::fs::write(stage.join(MANIFEST), &json)?;
            rustix::fs::syncfs(&dir)?;
            remove_if_there(&target)?;
            for folder in [SHARDS, ANNOTATIONS] {
                move_files(&stage.join(folder), &self.dir.join(folder))?;
            }
            remove_others(&self.dir, SHARDS, &shards)?;
            remove_others(&self.dir, ANNOTATIONS, annotations)?;
            for name in FILES {
                std::fs::rename(stage.join(name), self.dir.join(name))?;
            }
            dir.sync_all()?;
            std::fs::rename(stage.join(MANIFEST), &target)?;
            self.published = true;
            dir.sync_all()?;
            std::fs::write(work.join("journal.tmp"), &journal)?;
            std::fs::rename(work.join("journal.tmp"), work.join(JOURNAL))?;
            std::fs::remove_dir_all(&stage)
        })();
        published.with_context(|| format!("cannot publish {}", self.dir.display()))?;
        Ok(blake3::hash(&json).to_hex().to_string())
    }
}

/// The journal of finished shards.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Notes a shard whose file is in its place.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn note(&mut self, finished: &Finished) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(finished)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The finished shards that a journal lists. A line that cannot be read is passed over: its shard is made again.
fn read_journal(path: &Path) -> BTreeMap<String, Vec<Finished>> {
    let mut finished: BTreeMap<String, Vec<Finished>> = BTreeMap::new();
    for line in std::fs::read(path)
        .unwrap_or_default()
        .split(|&byte| byte == b'\n')
    {
        if let Ok(shard) = serde_json::from_slice::<Finished>(line) {
            finished
                .entry(shard.entry.path.clone())
                .or_default()
                .push(shard);
        }
    }
    finished
}

/// Moves a folder, or, where the target is there, every file below it.
fn move_files(from: &Path, to: &Path) -> std::io::Result<()> {
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
fn remove_others(dir: &Path, folder: &str, keep: &BTreeSet<String>) -> std::io::Result<()> {
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

fn remove_if_there(path: &Path) -> std::io::Result<()> {
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

impl Drop for Output {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        let work = self.dir.join(WORK);
        let shards = read_journal(&work.join(JOURNAL));
        if shards.is_empty() && !is_dataset(&self.dir) {
            let removed = std::fs::remove_dir_all(&work);
            if removed.is_ok() && self.made {
                let _ = std::fs::remove_dir(&self.dir);
            }
        } else {
            let _ = self.clear_stage();
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
        std::fs::create_dir_all(out.join(".build/stage/shards")).unwrap();
        std::fs::write(out.join(".build/stage/shards/00000.tmp"), b"half").unwrap();
        std::fs::write(out.join(".build/stage/brands.csv"), b"half").unwrap();
        inspect(&out, &raw).unwrap();
        let claim = Output::claim(&out).unwrap();
        assert!(!out.join(".build/stage/brands.csv").exists());
        refused(inspect(&out, &raw), "another build");
        refused(Output::claim(&out), "another build");
        drop(claim);

        std::fs::write(out.join("thesis.tex"), b"").unwrap();
        refused(inspect(&out, &raw), "thesis.tex");
        std::fs::create_dir_all(out.join(WORK)).unwrap();
        refused(Output::claim(&out), "thesis.tex");
        assert!(out.join("thesis.tex").exists());
        refused(inspect(&out.join("thesis.tex"), &raw), "thesis.tex");
    }

    #[test]
    fn a_finished_shard_is_used_again_only_whole_and_for_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = "shards/00000.safetensors";
        let claim = Output::claim(dir.path()).unwrap();
        let shard = Finished {
            key: "k".to_owned(),
            first_sample: 0,
            entry: ShardEntry {
                path: path.to_owned(),
                first_row: 0,
                n_rows: 1,
                bytes: 5,
                blake3: blake3::hash(b"whole").to_hex().to_string(),
            },
            outcome: Outcome::default(),
        };
        std::fs::write(claim.stage().join(path), b"whole").unwrap();
        claim.journal().unwrap().note(&shard).unwrap();
        drop(claim);
        let again = |key: &str| {
            Output::claim(dir.path())
                .unwrap()
                .reuse(path, key)
                .is_some()
        };
        assert!(again("k") && !again("other"));
        let staged = dir.path().join(".build/stage").join(path);
        std::fs::write(&staged, b"whalf").unwrap();
        assert!(!again("k"), "other bytes");
        // A kill cut the journal's last line, then it was found in place.
        std::fs::remove_file(&staged).unwrap();
        std::fs::create_dir_all(dir.path().join("shards")).unwrap();
        std::fs::write(dir.path().join(path), b"whole").unwrap();
        let journal = dir.path().join(".build/shards.jsonl");
        let mut text = std::fs::read_to_string(&journal).unwrap();
        text.push_str("{\"key\":\"k\",\"first_sa");
        std::fs::write(&journal, text).unwrap();
        assert!(again("k"));
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
