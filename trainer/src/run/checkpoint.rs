//! Writes and finds checkpoints that a kill at any moment, a full disk or a torn file cannot spoil.
//!
//! A checkpoint is the folder `checkpoints/epoch-NNN`, NNN epochs done, or `checkpoints/epoch-NNN-batch-MMMMMM` within
//! the next epoch, with `model.safetensors`, `optimizer.safetensors` and, last, `state.json`. It is written under a
//! hidden name, synced, and renamed: under its own name it is whole. Then the links `last` and, where there is a best
//! epoch, `best` are swung, each by a rename, and folders that are not needed are hidden and deleted.
//!
//! Needed are the newest two, the best epoch of either, and every n-th epoch where the configuration asks for those. So
//! a newest checkpoint whose files are damaged later costs what was trained since the one before, and nothing else. A
//! kill leaves at most a whole checkpoint that `last` does not point at yet, and hidden leftovers; [`repair`] settles
//! both from the folders' own states.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use logodex_evaluation::history;
use logodex_program::durable::{entries, sync_dir};
use logodex_schemas::header::{FormatError, is_sealed, seal};
use logodex_schemas::run::history::History;
use logodex_schemas::run::{RunState, run_header};
use tch::Tensor;

use crate::torch;

/// The parameters and buffers to embed with, by torchvision's names (the average where the run keeps one); a loss's own
/// weights under `loss.*`.
pub const MODEL_FILE: &str = "model.safetensors";
/// What only training needs: the optimiser's moments and what `Learner::training_state` adds.
pub const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const STATE_FILE: &str = "state.json";

/// A whole checkpoint on disk.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Its folder.
    pub dir: PathBuf,
    /// Where the run stood.
    pub state: RunState,
}

impl Checkpoint {
    /// Opens the checkpoint in `dir`.
    ///
    /// # Errors
    /// `state.json` is missing, broken or of another version.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(STATE_FILE);
        let json = fs::read(&path)
            .with_context(|| format!("{}: no complete checkpoint", path.display()))?;
        let state = parse(&json).with_context(|| path.display().to_string())?;
        Ok(Self {
            dir: dir.to_owned(),
            state,
        })
    }

    /// Parameters and buffers to embed with.
    ///
    /// # Errors
    /// The file does not match the hash in `state.json`, is no safetensors file, or holds a number that is not finite.
    pub fn model(&self) -> Result<BTreeMap<String, Tensor>> {
        self.load(MODEL_FILE, &self.state.model_blake3)
    }

    /// What the weights were trained on, as their file carries it.
    ///
    /// # Errors
    /// It is damaged or of another version.
    pub fn history(&self) -> Result<History> {
        let carried = history::read(&self.dir.join(MODEL_FILE))?;
        Ok(carried.unwrap_or_else(|| History::unknown("weights that carry no history")))
    }

    /// What only training needs.
    ///
    /// # Errors
    /// As for [`Self::model`].
    pub fn optimizer(&self) -> Result<BTreeMap<String, Tensor>> {
        self.load(OPTIMIZER_FILE, &self.state.optimizer_blake3)
    }

    fn load(&self, file: &str, blake3: &str) -> Result<BTreeMap<String, Tensor>> {
        self.check(file, blake3)?;
        let path = self.dir.join(file);
        let tensors = torch::load_tensors(&path)?;
        match tensors.iter().find(|(_, tensor)| !torch::is_finite(tensor)) {
            None => Ok(tensors),
            Some((name, _)) => bail!(
                "{}: {name} holds numbers that are not finite: training has diverged; take an earlier checkpoint",
                path.display()
            ),
        }
    }

    fn check(&self, file: &str, blake3: &str) -> Result<()> {
        let path = self.dir.join(file);
        if hash_file(&path)? != blake3 {
            bail!(
                "{}: does not match its BLAKE3 in {STATE_FILE}: the checkpoint is damaged; `logodex-train fit --resume` continues from the one before",
                path.display()
            );
        }
        Ok(())
    }
}

/// A state of another version is told as such; one whose seal is broken is damaged, whatever it says.
fn parse(json: &[u8]) -> Result<RunState> {
    let parsed = run_header().parse(json);
    let claims_a_seal = json.windows(6).any(|window| window == b"\"seal\"");
    if !is_sealed(json) && (parsed.is_ok() || claims_a_seal) {
        bail!("its seal is broken: the checkpoint is damaged");
    }
    parsed.map_err(anyhow::Error::from_boxed)
}

/// What a checkpoint is made of.
#[derive(Debug)]
pub struct Contents<'a> {
    /// Where the run stands; its hashes are filled in when it is written.
    pub state: &'a RunState,
    /// What the weights were trained on: in the metadata of [`MODEL_FILE`].
    pub history: &'a History,
    /// For [`MODEL_FILE`].
    pub model: BTreeMap<String, Tensor>,
    /// For [`OPTIMIZER_FILE`].
    pub optimizer: BTreeMap<String, Tensor>,
}

/// Publishes a checkpoint in `checkpoints`, points `last` and `best` where its state says, and deletes what is not
/// needed any more; of the epochs done every `keep_every`-th is needed, none where it is 0.
///
/// # Errors
/// The disk; what was there before stays whole.
pub fn publish(checkpoints: &Path, contents: &Contents<'_>, keep_every: u32) -> Result<()> {
    let mut state = contents.state.clone();
    let name = folder_name(&state);
    let hidden = checkpoints.join(format!(".writing-{name}"));
    let mut write = || -> Result<()> {
        remove_if_exists(&hidden)?;
        fs::create_dir_all(&hidden)?;
        torch::save_with_history(&hidden.join(MODEL_FILE), &contents.model, contents.history)?;
        torch::save_tensors(&hidden.join(OPTIMIZER_FILE), &contents.optimizer)?;
        state.model_blake3 = hash_file(&hidden.join(MODEL_FILE))?;
        state.optimizer_blake3 = hash_file(&hidden.join(OPTIMIZER_FILE))?;
        fs::write(hidden.join(STATE_FILE), seal(&state)?)?;
        for file in [MODEL_FILE, OPTIMIZER_FILE, STATE_FILE] {
            File::open(hidden.join(file))?.sync_all()?;
        }
        sync_dir(&hidden)?;
        // A run that fell back to an older checkpoint may come by here a second time.
        hide_and_remove(checkpoints, &name)?;
        fs::rename(&hidden, checkpoints.join(&name))?;
        sync_dir(checkpoints)?;
        settle(checkpoints, &state, keep_every)
    };
    write().map_err(|error| {
        // Half a checkpoint is of no use, and where the disk is full it is in the way.
        let _ = remove_if_exists(&hidden);
        error.context(format!(
            "cannot write checkpoint {}; the one before is whole: make room, then continue with --resume",
            checkpoints.join(&name).display()
        ))
    })
}

/// The newest whole checkpoint and the names of newer ones that are damaged, newest first; touches nothing.
///
/// # Errors
/// The disk, a checkpoint of another version, or several checkpoints of which none is whole.
pub fn newest(checkpoints: &Path) -> Result<(Option<Checkpoint>, Vec<String>)> {
    let mut damaged = Vec::new();
    let mut first_error = None;
    for name in folders(checkpoints)?.into_iter().rev() {
        let whole = Checkpoint::open(&checkpoints.join(&name)).and_then(|checkpoint| {
            checkpoint.check(MODEL_FILE, &checkpoint.state.model_blake3)?;
            checkpoint.check(OPTIMIZER_FILE, &checkpoint.state.optimizer_blake3)?;
            Ok(checkpoint)
        });
        match whole {
            Ok(checkpoint) => return Ok((Some(checkpoint), damaged)),
            Err(error) if error.chain().any(|cause| cause.is::<FormatError>()) => {
                return Err(error);
            }
            Err(error) => {
                damaged.push(name);
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        None => Ok((None, damaged)),
        Some(error) => Err(error.context(format!(
            "{}: every checkpoint is damaged ({}); delete the run and start again",
            checkpoints.display(),
            damaged.join(", ")
        ))),
    }
}

/// After a kill or damage: finds the newest whole checkpoint, deletes damaged ones behind it, saying so, makes `last`
/// and `best` say what its state says, and deletes leftovers. `None` where there is no checkpoint.
///
/// # Errors
/// As for [`newest`].
pub fn repair(checkpoints: &Path, keep_every: u32) -> Result<Option<Checkpoint>> {
    let (checkpoint, damaged) = newest(checkpoints)?;
    let Some(checkpoint) = checkpoint else {
        return Ok(None);
    };
    if !damaged.is_empty() {
        tracing::warn!(
            "{}: checkpoint {} is damaged (its files do not match their hashes) and deleted; continuing from {}, so what was trained since is trained again",
            checkpoints.display(),
            damaged.join(", "),
            folder_name(&checkpoint.state)
        );
    }
    for name in &damaged {
        hide_and_remove(checkpoints, name)?;
    }
    settle(checkpoints, &checkpoint.state, keep_every)?;
    Ok(Some(checkpoint))
}

/// `epoch-015` after 15 epochs, `epoch-000` the network as initialised; `epoch-015-batch-000120` after 120 batches of
/// the 16th epoch.
pub fn folder_name(state: &RunState) -> String {
    match state.epoch_batches {
        0 => epoch_folder(state.epochs_done),
        batches => format!("epoch-{:03}-batch-{batches:06}", state.epochs_done),
    }
}

fn epoch_folder(epochs_done: u32) -> String {
    format!("epoch-{epochs_done:03}")
}

/// The epochs done and the batches of the next that a folder's name tells.
fn position(name: &str) -> Option<(u32, u64)> {
    let rest = name.strip_prefix("epoch-")?;
    match rest.split_once("-batch-") {
        None => Some((rest.parse().ok()?, 0)),
        Some((epochs, batches)) => Some((epochs.parse().ok()?, batches.parse().ok()?)),
    }
}

/// BLAKE3 of a file, hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn hash_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    hasher
        .update_reader(&mut file)
        .with_context(|| path.display().to_string())?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// The checkpoints' names, oldest first.
fn folders(checkpoints: &Path) -> Result<Vec<String>> {
    let mut names: Vec<((u32, u64), String)> = entries(checkpoints)?
        .into_iter()
        .filter_map(|name| Some((position(&name)?, name)))
        .collect();
    names.sort();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

/// Points `last` at the checkpoint of `newest` and `best` at its best epoch, and deletes what is not needed.
fn settle(checkpoints: &Path, newest: &RunState, keep_every: u32) -> Result<()> {
    point(checkpoints, "last", &folder_name(newest))?;
    match newest.best_epoch.map(|epoch| epoch_folder(epoch + 1)) {
        Some(best) if checkpoints.join(&best).exists() => point(checkpoints, "best", &best)?,
        Some(best) => {
            tracing::warn!(
                "{}: the best epoch's checkpoint {best} is gone",
                checkpoints.display()
            );
            remove_if_exists(&checkpoints.join("best"))?;
        }
        None => {}
    }
    sync_dir(checkpoints)?;
    let names = folders(checkpoints)?;
    let needed = needed(checkpoints, &names, keep_every);
    for name in names.iter().filter(|name| !needed.contains(*name)) {
        hide_and_remove(checkpoints, name)?;
    }
    for name in entries(checkpoints)? {
        if name.starts_with('.') {
            remove_if_exists(&checkpoints.join(name))?;
        }
    }
    Ok(())
}

/// The newest two, the best epoch of either, and every `keep_every`-th epoch.
fn needed(checkpoints: &Path, names: &[String], keep_every: u32) -> BTreeSet<String> {
    let newest = names.iter().rev().take(2);
    let best = newest.clone().filter_map(|name| {
        let state = Checkpoint::open(&checkpoints.join(name)).ok()?.state;
        Some(epoch_folder(state.best_epoch? + 1))
    });
    let kept = names.iter().filter(|name| {
        matches!(position(name), Some((epochs, 0)) if keep_every > 0 && epochs > 0 && epochs % keep_every == 0)
    });
    best.chain(newest.cloned()).chain(kept.cloned()).collect()
}

/// Makes `checkpoints/link` point at its sibling `name`, in one step.
fn point(checkpoints: &Path, link: &str, name: &str) -> Result<()> {
    let hidden = checkpoints.join(format!(".{link}"));
    remove_if_exists(&hidden)?;
    std::os::unix::fs::symlink(name, &hidden)?;
    fs::rename(&hidden, checkpoints.join(link))?;
    Ok(())
}

/// Deletes a checkpoint: hidden first, for a folder under its own name is always whole.
fn hide_and_remove(checkpoints: &Path, name: &str) -> Result<()> {
    let dir = checkpoints.join(name);
    if dir.exists() {
        let hidden = checkpoints.join(format!(".deleting-{name}"));
        remove_if_exists(&hidden)?;
        fs::rename(dir, &hidden)?;
        remove_if_exists(&hidden)?;
    }
    Ok(())
}

fn remove_if_exists(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
