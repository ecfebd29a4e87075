//! Notes finished shards in `.build/shards.jsonl`, a line for each when its file is written, and reads them again. A line
//! is its BLAKE3, a space and JSON: what it says of rows gets into the tables, so that a damaged one is not believed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::build::render::RenderedImage;
use crate::build::shard_file::ShardFile;

/// A shard that some build finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Hash of all that went into it.
    pub key: String,
    /// Its file.
    pub file: ShardFile,
    /// What it holds, pixels aside.
    pub images: Vec<RenderedImage>,
}

impl Finished {
    /// The name of the file of the shard of this key until it is published.
    pub fn staged(key: &str) -> String {
        format!("{key}.safetensors")
    }
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

    /// Notes a shard whose file is written.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn note(&mut self, finished: &Finished) -> anyhow::Result<()> {
        let written = self.file.write_all(&line(finished)?);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn line(finished: &Finished) -> anyhow::Result<Vec<u8>> {
    let json = serde_json::to_string(finished)?;
    let blake3 = blake3::hash(json.as_bytes()).to_hex();
    Ok(format!("{blake3} {json}\n").into_bytes())
}

/// A journal of these shards alone.
pub(super) fn journal_of(finished: &[Finished]) -> anyhow::Result<Vec<u8>> {
    let lines: Vec<Vec<u8>> = finished.iter().map(line).collect::<anyhow::Result<_>>()?;
    Ok(lines.concat())
}

/// The finished shards that a journal lists, the latest last. A line that is not as it was written is passed over: its
/// shard is made again.
pub(super) fn read_journal(path: &Path) -> Vec<Finished> {
    let text = std::fs::read(path).unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n');
    let whole = lines.filter_map(|line| {
        let (blake3, json) = line.split_at_checked(64)?;
        let json = json.strip_prefix(b" ")?;
        let same = blake3 == blake3::hash(json).to_hex().as_bytes();
        same.then(|| serde_json::from_slice(json).ok())?
    });
    whole.collect()
}
