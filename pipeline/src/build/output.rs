//! Keeps the directory that a build writes: who may write it, what of an earlier build is used again, and when it becomes
//! a dataset.
//!
//! All is prepared in the hidden folder `.build` and moved into place at the end, the manifest last, by rename. A shard
//! that is finished is noted in `.build/shards.jsonl` with the key of all that went into it, so that the next build of
//! the same directory, after a kill or after a change of the raw tree, writes only shards whose key is new. Nothing that
//! lies there is believed unread: a line has its checksum, and a shard is the one whose bytes have the noted hash, under
//! whatever name. `.build` is no part of the dataset and may be deleted at any time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_dataset::MANIFEST;
use logodex_schemas::dataset::{FileEntry, Manifest};
use logodex_schemas::header::seal;
use rayon::prelude::*;

use files::{move_files, remove_if_there, remove_others};
use inspect::{inspect_content, is_dataset, lock};
use journal::{Finished, Journal, journal_of, read_journal};
use paths::{ANNOTATIONS, FILES, JOURNAL, LOCK, SHARDS, STAGE, WORK};

pub mod files;
pub mod inspect;
pub mod journal;
pub mod paths;

/// A directory that this process alone may fill. Dropped without [`Output::publish`], what was there is there still, and
/// finished shards are kept for the next build.
#[derive(Debug)]
pub struct Output {
    dir: PathBuf,
    made: bool,
    published: bool,
    /// What earlier builds finished and where its file lies, by key.
    finished: HashMap<String, (Finished, PathBuf)>,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl Output {
    /// Makes the directory if need be, locks it, and learns what earlier builds finished: their shards are read for it.
    ///
    /// # Errors
    /// As [`inspect`](inspect::inspect), or what the file system reports.
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
        let mut output = Self {
            dir: out.to_owned(),
            made,
            published: false,
            finished: HashMap::new(),
            _lock: held,
        };
        output
            .clear_stage()
            .and_then(|()| std::fs::create_dir_all(output.stage().join(SHARDS)))
            .with_context(|| format!("cannot write {}", work.display()))?;
        let folders = [output.stage().join(SHARDS), output.dir.join(SHARDS)];
        output.finished = with_files(read_journal(&work.join(JOURNAL)), &folders);
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
        Journal::open(self.dir.join(WORK).join(JOURNAL))
    }

    /// The finished shard of this key, if there is one.
    pub fn reuse(&self, key: &str) -> Option<Finished> {
        self.finished.get(key).map(|found| found.0.clone())
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

    /// Makes the directory a dataset: everything into its place, synced, then the manifest, by rename. From the first move
    /// to the last a dataset that was there is none; a kill in between is mended by the next build. `finished` are its
    /// shards in their order, `annotations` the paths of all its annotations. Returns the manifest's BLAKE3.
    ///
    /// # Errors
    /// What the file system reports; the next build goes on from there.
    pub fn publish(
        &mut self,
        manifest: &Manifest,
        finished: &[Finished],
        annotations: &BTreeSet<String>,
    ) -> anyhow::Result<String> {
        let json = seal(manifest)?;
        let (work, stage, target) = (self.dir.join(WORK), self.stage(), self.dir.join(MANIFEST));
        let shards: BTreeSet<String> = manifest.shards.iter().map(|s| s.path.clone()).collect();
        let journal = journal_of(finished)?;
        let published = (|| -> std::io::Result<()> {
            let dir = File::open(&self.dir)?;
            std::fs::write(stage.join(MANIFEST), &json)?;
            rustix::fs::syncfs(&dir)?;
            remove_if_there(&target)?;
            self.place_shards(manifest, finished)?;
            move_files(&stage.join(ANNOTATIONS), &self.dir.join(ANNOTATIONS))?;
            remove_others(&self.dir, SHARDS, &shards)?;
            remove_others(&self.dir, ANNOTATIONS, annotations)?;
            for name in FILES {
                std::fs::rename(stage.join(name), self.dir.join(name))?;
            }
            // Every move, in every folder, comes before the manifest.
            rustix::fs::syncfs(&dir)?;
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

    /// Moves the shards to their paths. What lies in another's place steps aside first, so that none is overwritten that
    /// is still to be moved.
    fn place_shards(&self, manifest: &Manifest, finished: &[Finished]) -> std::io::Result<()> {
        let stage = self.stage();
        let mut moves = Vec::new();
        for (entry, shard) in manifest.shards.iter().zip(finished) {
            let (staged, place) = (
                stage.join(SHARDS).join(Finished::staged(&shard.key)),
                self.dir.join(&entry.path),
            );
            match self.finished.get(&shard.key) {
                Some((_, found)) if *found == place => continue,
                Some((_, found)) if *found != staged => std::fs::rename(found, &staged)?,
                _ => {}
            }
            moves.push((staged, place));
        }
        std::fs::create_dir_all(self.dir.join(SHARDS))?;
        for (from, to) in moves {
            std::fs::rename(from, to)?;
        }
        Ok(())
    }
}

/// The shards of a journal of which there is a file in one of these folders, by key: each of a length that some shard has is
/// read, and goes by the hash of its bytes.
fn with_files(journal: Vec<Finished>, folders: &[PathBuf]) -> HashMap<String, (Finished, PathBuf)> {
    let lengths: HashSet<u64> = journal.iter().map(|shard| shard.file.bytes).collect();
    let entries = folders.iter().filter_map(|f| std::fs::read_dir(f).ok());
    let entries: Vec<PathBuf> = entries.flatten().flatten().map(|e| e.path()).collect();
    let hashed = entries.into_par_iter().filter_map(|path| {
        let file = File::open(&path).ok()?;
        let found = file.metadata().ok()?;
        if !found.is_file() || !lengths.contains(&found.len()) {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file).ok()?;
        Some((hasher.finalize().to_hex().to_string(), path))
    });
    // Two shards may have the same bytes: each file is one shard's.
    let mut files: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for (blake3, path) in hashed.collect::<Vec<_>>() {
        files.entry(blake3).or_default().push(path);
    }
    let mut finished = HashMap::new();
    for shard in journal.into_iter().rev() {
        if !finished.contains_key(&shard.key)
            && let Some(path) = files.get_mut(&shard.file.blake3).and_then(Vec::pop)
        {
            finished.insert(shard.key.clone(), (shard, path));
        }
    }
    finished
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

#[cfg(test)]
mod tests;
