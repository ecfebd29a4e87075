//! A run directory: one experiment's configuration, its metrics and its checkpoints.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_schemas::run::MetricsLine;
use logodex_schemas::train::TrainConfig;

use crate::checkpoint::{self, Checkpoint};
use crate::config::{self, UsageError};
use crate::durable::write_whole;

/// Which checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// After the last epoch.
    Last,
    /// After the epoch with the highest validation F1.
    Best,
    /// After so many epochs, where it was kept.
    Epoch(u32),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Self::Last),
            "best" => Ok(Self::Best),
            _ => text
                .strip_prefix("epoch-")
                .and_then(|number| number.parse().ok())
                .map(Self::Epoch)
                .ok_or_else(|| "must be last, best or epoch-NNN".to_owned()),
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
/// [`UsageError`] telling both ways out.
pub fn refuse_existing(dir: &Path) -> Result<(), UsageError> {
    match is_used(dir) {
        true => Err(UsageError(format!(
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

/// Looks for the checkpoint to continue from and checks that the configuration is the one the run began with.
/// `None` where there is no run, or a run without a checkpoint.
///
/// # Errors
/// [`UsageError`] when the configuration differs or the directory is no run; a checkpoint of another version.
pub fn find(dir: &Path, config_bytes: &[u8]) -> Result<Option<Checkpoint>> {
    let config_path = dir.join("config.toml");
    match fs::read(&config_path) {
        Ok(bytes) if bytes == config_bytes => {}
        Ok(_) => {
            return Err(UsageError(format!(
                "{}: the configuration was changed since this run began (its own is {}); a run continues only under that one, so restore it or start another run",
                dir.display(),
                config_path.display()
            ))
            .into());
        }
        // A kill before the configuration was written leaves an empty directory.
        Err(_) => {
            if is_used(dir) {
                return Err(UsageError(format!(
                    "{}: not a run: it has no config.toml",
                    dir.display()
                ))
                .into());
            }
            return Ok(None);
        }
    }
    checkpoint::newest(&dir.join("checkpoints"))
}

impl Run {
    /// Takes the directory for writing: creates it where needed, locks it, writes `config.toml` where there is none
    /// and settles what a kill left behind.
    ///
    /// # Errors
    /// [`UsageError`] when another process is writing the run; the disk.
    pub fn take(dir: &Path, config_bytes: &[u8]) -> Result<Self> {
        let context = || format!("{}: cannot prepare the run directory", dir.display());
        fs::create_dir_all(dir).with_context(context)?;
        let lock = File::open(dir).with_context(context)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(UsageError(format!(
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
        checkpoint::repair(&dir.join("checkpoints"))?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    /// Opens `metrics.jsonl` for appending after dropping what lies behind a checkpoint: lines of later epochs and a
    /// line cut short by a kill.
    ///
    /// # Errors
    /// The disk.
    pub fn metrics(&self, epochs_done: u32) -> Result<Metrics> {
        let path = self.dir.join("metrics.jsonl");
        let context = || path.display().to_string();
        let kept: String = match fs::read_to_string(&path) {
            Ok(text) => text
                .split_inclusive('\n')
                .filter(|line| match serde_json::from_str(line) {
                    Ok(MetricsLine::Step { epoch, .. } | MetricsLine::Epoch { epoch, .. }) => {
                        line.ends_with('\n') && epoch < epochs_done
                    }
                    Err(_) => false,
                })
                .collect(),
            Err(_) => String::new(),
        };
        write_whole(&path, kept.as_bytes()).with_context(context)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .with_context(context)?;
        Ok(Metrics {
            path,
            file: BufWriter::new(file),
        })
    }
}

/// `metrics.jsonl`, open for appending.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Metrics {
    /// Appends a line.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&mut self, line: &MetricsLine) -> Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.file
            .write_all(&json)
            .with_context(|| self.path.display().to_string())
    }

    /// Makes every line durable: called before the checkpoint that comes after them is published.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&mut self) -> Result<()> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .with_context(|| self.path.display().to_string())
    }
}

/// The configuration and a checkpoint of a run, for reading.
///
/// # Errors
/// [`UsageError`] when `dir` is no run or has no such checkpoint.
pub fn open(dir: &Path, which: Which) -> Result<(TrainConfig, Checkpoint)> {
    let config_path = dir.join("config.toml");
    if !config_path.is_file() {
        return Err(UsageError(format!(
            "{}: not a run: it has no config.toml; `logodex-train fit` makes one",
            dir.display()
        ))
        .into());
    }
    let (config, _) = config::read(&config_path)?;
    let (link, hint) = match which {
        Which::Last => ("last".to_owned(), "no epoch is finished yet"),
        Which::Best => (
            "best".to_owned(),
            "no epoch was validated; use the last one",
        ),
        Which::Epoch(epochs) => (
            checkpoint::folder_name(epochs),
            "it was not kept, or not reached; use last or best",
        ),
    };
    let path = dir.join("checkpoints").join(&link);
    if !path.exists() {
        return Err(UsageError(format!("{}: no such checkpoint: {hint}", path.display())).into());
    }
    // Resolved once, so that a run still going on cannot swap the folder between two reads.
    let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
    Ok((config, Checkpoint::open(&path)?))
}
