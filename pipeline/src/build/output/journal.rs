//! Notes finished shards in `.build/shards.jsonl`, a line for each when its file is in its place, and reads them again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_schemas::dataset::ShardEntry;
use serde::{Deserialize, Serialize};

use crate::build::rendered::Outcome;

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

/// The journal, open to append to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens it, to append to.
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(&path);
        let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
        // A line that a kill cut short must not swallow the next.
        file.write_all(b"\n")?;
        Ok(Self { path, file })
    }

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
pub(super) fn read_journal(path: &Path) -> BTreeMap<String, Vec<Finished>> {
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
