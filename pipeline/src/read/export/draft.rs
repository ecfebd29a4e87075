//! The hidden directory that becomes an export: whole, or not at all.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::build::output::files::MAX_NAME;
use crate::build::output::inspect;
use logodex_program::durable::sync_dir;

/// What the hidden directory's name has more than the target's.
const AROUND: [&str; 2] = [".", ".export"];
/// The longest name that a target may have, bytes.
pub(super) const LONGEST: usize = MAX_NAME - AROUND[0].len() - AROUND[1].len();

/// An export in the making: a directory in a hidden one beside the target. Dropped without [`Draft::publish`], it is removed.
pub(super) struct Draft {
    /// What becomes the export.
    pub(super) dir: PathBuf,
    /// The hidden directory.
    hidden: PathBuf,
    target: PathBuf,
    /// Locked for as long as it is open: of two exports to one target the second is refused.
    lock: File,
}

impl Draft {
    /// Makes it beside the target, or empties what a killed export left there.
    pub(super) fn claim(target: &Path) -> anyhow::Result<Self> {
        // Beside what a symbolic link stands for, because nothing can be renamed to a link.
        let target = target.canonicalize().unwrap_or(target.to_owned());
        let mut name = std::ffi::OsString::from(AROUND[0]);
        name.push(target.file_name().unwrap_or_default());
        name.push(AROUND[1]);
        let hidden = target.with_file_name(name);
        let cannot = || format!("cannot make {}", hidden.display());
        let lock = locked(&hidden, &target).with_context(cannot)?;
        for entry in std::fs::read_dir(&hidden).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false if path.ends_with(LOCK) => Ok(()),
                false => std::fs::remove_file(&path),
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        let dir = hidden.join("content");
        std::fs::create_dir(&dir).with_context(cannot)?;
        Ok(Self {
            dir,
            hidden,
            target,
            lock,
        })
    }

    /// Syncs it and gives it the target's name.
    pub(super) fn publish(self) -> anyhow::Result<()> {
        // An empty directory that has the name already gives way.
        rustix::fs::syncfs(&self.lock)
            .map_err(std::io::Error::from)
            .and_then(|()| std::fs::rename(&self.dir, &self.target))
            .with_context(|| format!("cannot publish {}", self.target.display()))?;
        match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => sync_dir(folder),
            _ => sync_dir(Path::new(".")),
        }
    }
}

const LOCK: &str = "lock";

/// Makes the hidden directory, and locks a file in it.
fn locked(hidden: &Path, target: &Path) -> anyhow::Result<File> {
    let path = hidden.join(LOCK);
    loop {
        std::fs::create_dir_all(hidden)?;
        // Open to write, because NFS locks no other file.
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = match opened {
            // The export before is just removing what it left.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            opened => opened?,
        };
        inspect::lock(&file, "export", target)?;
        // One that was removed meanwhile locks nothing.
        let (held, there) = (file.metadata()?, path.metadata());
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
            return Ok(file);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What a failure here leaves, the next export to this target removes. The lock goes last.
        let _ = std::fs::remove_dir_all(&self.dir);
        let _ = std::fs::remove_file(self.hidden.join(LOCK));
        let _ = std::fs::remove_dir(&self.hidden);
    }
}
