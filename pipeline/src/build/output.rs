//! Keeps the directory that a build writes: who may write it, what of an earlier build is used again, and when it becomes
//! a dataset.
//!
//! All is prepared in the hidden folder `.build` and moved into place at the end, the manifest last, by rename. A shard
//! that is finished is noted in `.build/shards.jsonl` with the key of all that went into it, so that the next build of
//! the same directory, after a kill or after a change of the raw tree, writes only shards whose key is new. `.build` is no
//! part of the dataset and may be deleted at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_dataset::{MANIFEST, read_manifest};
use logodex_schemas::dataset::{FileEntry, Manifest, ShardEntry};
use logodex_schemas::header::seal;

use files::{move_files, remove_if_there, remove_others};
use inspect::{inspect_content, is_dataset, lock};
use journal::{Finished, Journal, read_journal};
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
    /// The shards of the dataset that is there already, by path.
    present: BTreeMap<String, ShardEntry>,
    /// What earlier builds finished, by path, the latest last.
    finished: BTreeMap<String, Vec<Finished>>,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl Output {
    /// Makes the directory if need be, locks it, and learns what earlier builds finished.
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
        Journal::open(self.dir.join(WORK).join(JOURNAL))
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
