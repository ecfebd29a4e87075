//! Takes, finds and opens a run directory: one experiment's configuration, its metrics, its pictures and its
//! checkpoints.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_dataset::{Dataset, Split};
use logodex_program::Failure;
use logodex_program::durable::write_whole;
use logodex_schemas::run::{RunDataset, run_dataset_header};
use logodex_schemas::train::TrainConfig;

use super::checkpoint::{self, Checkpoint};
use crate::config;
use crate::config::identity::{self, EPOCHS, with_epochs};

/// Where the data of the run lie.
const DATASET_FILE: &str = "dataset.json";

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

/// What there is to continue.
#[derive(Debug)]
pub struct Found {
    /// Where it stands; none where it was killed before its first checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The run's own `config.toml`, with as many epochs as are asked for.
    pub config_bytes: Vec<u8>,
    /// The epochs that it had before, where more are asked for now.
    pub extended_from: Option<u32>,
}

/// Looks, without touching anything, for the run to continue and checks that the configuration says what the run's own
/// says. More epochs are another thing only where they would have changed what is done. `None` where there is no run.
///
/// # Errors
/// [`Failure::Usage`] naming the keys that differ, or when the directory is no run; a checkpoint of another version.
pub fn find(dir: &Path, config: &TrainConfig) -> Result<Option<Found>> {
    let config_path = dir.join("config.toml");
    if !config_path.exists() {
        // A kill before the configuration was written leaves an empty directory.
        return match is_used(dir) {
            false => Ok(None),
            true => Err(Failure::Usage(format!(
                "{}: not a run: it has no config.toml",
                dir.display()
            ))
            .into()),
        };
    }
    let (own, mut config_bytes) = config::read(&config_path)?;
    let checkpoint = checkpoint::newest(&dir.join("checkpoints"))?.0;
    let is_begun = checkpoint.as_ref().is_some_and(|c| c.state.steps_done > 0);
    let mut differences = identity::differences(&own, config)?;
    let mut extended_from = None;
    let mut hint = "";
    let (before, now) = (own.schedule.epochs, config.schedule.epochs);
    if now > before && differences.contains_key(EPOCHS) {
        if is_begun && identity::rates_depend_on_epochs(&own) {
            hint = " (a cosine schedule ends with the last epoch, so more epochs would have changed the rates of those done)";
        } else if let Some(text) = with_epochs(&String::from_utf8_lossy(&config_bytes), now) {
            differences.remove(EPOCHS);
            config_bytes = text.into_bytes();
            extended_from = Some(before);
        }
    }
    if !differences.is_empty() {
        let told: Vec<String> = differences
            .iter()
            .map(|(key, [own, given])| format!("{key} is {own} in the run and {given} now"))
            .collect();
        return Err(Failure::Usage(format!(
            "{}: the configuration was changed since this run began: {}{hint}; a run continues only under its own, {}: restore it or start another run",
            dir.display(),
            told.join(", "),
            config_path.display()
        ))
        .into());
    }
    Ok(Some(Found {
        checkpoint,
        config_bytes,
        extended_from,
    }))
}

impl Run {
    /// Takes the directory for writing: creates it where needed, locks it, and writes `config.toml` unless it is there.
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
        if fs::read(&config_path).ok().as_deref() != Some(config_bytes) {
            write_whole(&config_path, config_bytes).with_context(context)?;
        }
        fs::create_dir_all(dir.join("checkpoints")).with_context(context)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// Notes where its data lie, for later commands.
    ///
    /// # Errors
    /// The disk.
    pub fn note_dataset(&self, dataset: &Dataset, split: &Split) -> Result<()> {
        let dir = fs::canonicalize(dataset.dir())?;
        let note = RunDataset {
            header: run_dataset_header(),
            dataset: dir.to_string_lossy().into_owned(),
            split: split.info.name.clone(),
        };
        let mut json = serde_json::to_vec_pretty(&note)?;
        json.push(b'\n');
        write_whole(&self.dir.join(DATASET_FILE), &json)
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

/// Where a run's data lay when it was last trained; none of a run of before this was noted down.
///
/// # Errors
/// The note is damaged or of another version.
pub fn noted_dataset(dir: &Path) -> Result<Option<RunDataset>> {
    let path = dir.join(DATASET_FILE);
    let json = match fs::read(&path) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let note = run_dataset_header().parse(&json).map_err(|reason| {
        Failure::Usage(format!(
            "{}: {reason}; delete it and say --dataset and --split",
            path.display()
        ))
    })?;
    Ok(Some(note))
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
