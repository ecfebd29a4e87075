//! Takes, finds and opens a run directory: one experiment's configuration, its metrics, its pictures and its
//! checkpoints.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_schemas::train::TrainConfig;

use super::checkpoint::{self, Checkpoint};
use crate::config;

/// Which checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// After the last epoch.
    Last,
    /// After the epoch with the highest validation F1.
    Best,
    /// After so many epochs.
    Epoch(u32),
}

impl Which {
    /// Its name among the run's checkpoints.
    pub fn name(self) -> String {
        match self {
            Self::Last => "last".to_owned(),
            Self::Best => "best".to_owned(),
            Self::Epoch(done) => format!("epoch-{done:03}"),
        }
    }
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match (name, name.strip_prefix("epoch-").map(str::parse)) {
            ("last", _) => Ok(Self::Last),
            ("best", _) => Ok(Self::Best),
            (_, Some(Ok(done))) => Ok(Self::Epoch(done)),
            _ => Err("must be last, best or epoch-NNN, after NNN epochs".to_owned()),
        }
    }
}

/// A run that `fit` writes; locked against a second writer until it is dropped.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    _lock: File,
}

/// Refuses a directory that holds something: a new run must not mix with an old one.
///
/// # Errors
/// [`Failure::Usage`] telling both ways out.
pub fn refuse_existing(dir: &Path) -> Result<(), Failure> {
    match is_used(dir) {
        true => Err(Failure::Usage(format!(
            "{}: the run exists; continue it with --resume, or give another --run (or delete the directory) to start anew",
            dir.display()
        ))),
        false => Ok(()),
    }
}

/// Whether there is anything at `dir` but an empty directory. A file half written when a kill came is hidden and does
/// not count.
fn is_used(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(entries) => entries
            .flatten()
            .any(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")),
        Err(_) => dir.exists(),
    }
}

/// Looks, without touching anything, for the checkpoint to continue from and checks that the configuration is the one
/// the run began with. `None` where there is no run, or a run without a checkpoint.
///
/// # Errors
/// [`Failure::Usage`] when the configuration differs or the directory is no run; a checkpoint of another version.
pub fn find(dir: &Path, config_bytes: &[u8]) -> Result<Option<Checkpoint>> {
    let config_path = dir.join("config.toml");
    match fs::read(&config_path) {
        Ok(bytes) if bytes == config_bytes => {}
        Ok(_) => {
            return Err(Failure::Usage(format!(
                "{}: the configuration was changed since this run began (its own is {}); a run continues only under that one, so restore it or start another run",
                dir.display(),
                config_path.display()
            ))
            .into());
        }
        // A kill before the configuration was written leaves an empty directory.
        Err(_) => {
            if is_used(dir) {
                return Err(Failure::Usage(format!(
                    "{}: not a run: it has no config.toml",
                    dir.display()
                ))
                .into());
            }
            return Ok(None);
        }
    }
    Ok(checkpoint::newest(&dir.join("checkpoints"))?.0)
}

impl Run {
    /// Takes the directory for writing: creates it where needed, locks it, and writes `config.toml` where there is
    /// none.
    ///
    /// # Errors
    /// [`Failure::Usage`] when another process is writing the run; the disk.
    pub fn take(dir: &Path, config_bytes: &[u8]) -> Result<Self> {
        let context = || format!("{}: cannot prepare the run directory", dir.display());
        fs::create_dir_all(dir).with_context(context)?;
        let lock = File::open(dir).with_context(context)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Usage(format!(
                    "{}: another process is writing this run",
                    dir.display()
                ))
                .into());
            }
            Err(TryLockError::Error(e)) => return Err(e).with_context(context),
        }
        let config_path = dir.join("config.toml");
        if !config_path.exists() {
            write_whole(&config_path, config_bytes).with_context(context)?;
        }
        fs::create_dir_all(dir.join("checkpoints")).with_context(context)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// Settles what a kill left behind and returns the newest whole checkpoint: see [`checkpoint::repair`].
    ///
    /// # Errors
    /// As there.
    pub fn repair(&self, keep_every: u32) -> Result<Option<Checkpoint>> {
        let _ = fs::remove_file(self.dir.join("stopped.json"));
        checkpoint::repair(&self.checkpoints(), keep_every)
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }
}

/// The configuration and a checkpoint of a run, for reading.
///
/// # Errors
/// [`Failure::Usage`] when `dir` is no run or has no such checkpoint.
pub fn open(dir: &Path, which: Which) -> Result<(TrainConfig, Checkpoint)> {
    let config_path = dir.join("config.toml");
    if !config_path.is_file() {
        return Err(Failure::Usage(format!(
            "{}: not a run: it has no config.toml; `logodex-train fit` makes one",
            dir.display()
        ))
        .into());
    }
    let (config, _) = config::read(&config_path)?;
    let hint = match which {
        Which::Last => "no epoch is finished yet",
        Which::Best => "no epoch was validated; use the last one",
        Which::Epoch(_) => "checkpoint.every_epochs says which are kept",
    };
    let path = dir.join("checkpoints").join(which.name());
    if !path.exists() {
        return Err(
            Failure::Usage(format!("{}: no such checkpoint: {hint}", path.display())).into(),
        );
    }
    // Resolved once, so that a run still going on cannot swap the folder between two reads.
    let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
    Ok((config, Checkpoint::open(&path)?))
}
