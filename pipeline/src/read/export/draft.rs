//! The hidden directory that becomes an export: whole, or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::build::output::inspect;

/// The hidden directory that becomes the export. Dropped without [`Draft::publish`], it is removed.
pub(super) struct Draft {
    pub(super) dir: PathBuf,
    target: PathBuf,
    published: bool,
    /// Locked for as long as it is open: of two exports to one target the second is refused.
    lock: File,
}

impl Draft {
    /// Makes it beside the target, or empties what a killed export left there.
    pub(super) fn claim(target: &Path) -> anyhow::Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".export");
        let dir = target.with_file_name(name);
        let cannot = || format!("cannot make {}", dir.display());
        std::fs::create_dir_all(&dir).with_context(cannot)?;
        let lock = File::open(&dir).with_context(cannot)?;
        inspect::lock(&lock, "export", target)?;
        for entry in std::fs::read_dir(&dir).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(Self {
            dir,
            target: target.to_owned(),
            published: false,
            lock,
        })
    }

    /// Syncs it and gives it the target's name.
    pub(super) fn publish(mut self) -> anyhow::Result<()> {
        // An empty directory that has the name already gives way.
        rustix::fs::syncfs(&self.lock)
            .map_err(std::io::Error::from)
            .and_then(|()| std::fs::rename(&self.dir, &self.target))
            .with_context(|| format!("cannot publish {}", self.target.display()))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // What a failure here leaves, the next export to this target removes.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
