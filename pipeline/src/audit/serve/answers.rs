//! `overrides.toml` as the page writes it: whole or not at all, and never over what the page has not seen.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use logodex_program::durable::replace_if;
use logodex_schemas::plan::Overrides;

use crate::config::overrides_in;
use crate::plan::overrides::{as_the_tree_spells, check};
use crate::raw::scan::Scan;

/// The file of answers.
pub struct Answers {
    path: PathBuf,
    scan: Scan,
    /// Held while it is written.
    writing: Mutex<()>,
}

/// What became of answers that were to be written.
pub enum Written {
    /// They are there, in a file with this tag; the earlier file is kept under this name.
    Whole(String, Option<PathBuf>),
    /// Nothing was written: the file is not the one that was seen.
    Changed,
    /// Nothing was written: `plan` would refuse them, and says so.
    Wrong(String),
}

impl Answers {
    /// Answers about the tree of a scan.
    pub fn new(path: PathBuf, scan: Scan) -> Self {
        let writing = Mutex::new(());
        Self {
            path,
            scan,
            writing,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds, and its tag; none if there is no file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> anyhow::Result<Option<(Vec<u8>, String)>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => {
                let tag = tag(&bytes);
                Ok(Some((bytes, tag)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.path.display().to_string()),
        }
    }

    /// Writes the answers in the place of those of which `seen` is the tag, none if there was no file.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, seen: Option<&str>, text: &str) -> anyhow::Result<Written> {
        if let Err(wrong) = self.judge(text) {
            return Ok(Written::Wrong(wrong));
        }
        let _turn = self.turn();
        let now = self.read()?;
        if now.as_ref().map(|(_, tag)| tag.as_str()) != seen {
            return Ok(Written::Changed);
        }
        let new = tag(text.as_bytes());
        let (earlier, kept) = match &now {
            Some((_, same)) if *same == new => return Ok(Written::Whole(new, None)),
            Some((bytes, tag)) => (Some(bytes.as_slice()), Some(self.kept(tag))),
            None => (None, None),
        };
        // Without an earlier file its name is not used.
        let name = kept.clone().unwrap_or_default();
        Ok(
            match replace_if(&self.path, earlier, text.as_bytes(), &name)? {
                true => Written::Whole(new, kept),
                false => Written::Changed,
            },
        )
    }

    /// Waits until nothing is being written, and keeps it so.
    pub fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        let turn = self.writing.lock();
        turn.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The name under which a file of this tag is kept when another takes its place.
    fn kept(&self, tag: &str) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy();
        self.path
            .with_file_name(format!("{stem}-{}.toml", &tag[1..9]))
    }

    fn judge(&self, text: &str) -> Result<(), String> {
        let found: Overrides = overrides_in(text)?;
        let found = as_the_tree_spells(&self.scan, &found);
        check(&self.scan, &found).map_err(|wrong| wrong.to_string())
    }
}

/// Names a content, as HTTP wants it.
fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", blake3::hash(bytes).to_hex())
}
