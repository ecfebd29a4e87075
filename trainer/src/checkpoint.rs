//! Checkpoints that a kill at any moment cannot spoil.
//!
//! A checkpoint is the folder `checkpoints/epoch-NNN`, NNN epochs done, with `model.safetensors`,
//! `optimizer.safetensors` and, last, `state.json`. It is written under a hidden name, synced, and renamed: under its
//! own name it is whole. Then the links `last` and, after the best epoch so far, `best` are swung to it, each by a
//! rename, and folders that no link points at are hidden and deleted. A kill leaves at most a whole checkpoint that
//! `last` does not point at yet, and hidden leftovers; [`repair`] settles both from the folders' own states.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use logodex_schemas::run::{RunState, run_header};
use tch::Tensor;

use crate::durable::sync_dir;
use crate::torch;

/// The parameters and buffers, by torchvision's names; a loss's own weights under `loss.*`.
pub const MODEL_FILE: &str = "model.safetensors";
/// The optimiser's moments.
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
        let state = run_header()
            .parse(&json)
            .map_err(anyhow::Error::from_boxed)
            .with_context(|| path.display().to_string())?;
        Ok(Self {
            dir: dir.to_owned(),
            state,
        })
    }

    /// Parameters and buffers.
    ///
    /// # Errors
    /// The file does not match the hash in `state.json`, or is no safetensors file.
    pub fn model(&self) -> Result<BTreeMap<String, Tensor>> {
        self.tensors(MODEL_FILE, &self.state.model_blake3)
    }

    /// The optimiser's state.
    ///
    /// # Errors
    /// As for [`Self::model`].
    pub fn optimizer(&self) -> Result<BTreeMap<String, Tensor>> {
        self.tensors(OPTIMIZER_FILE, &self.state.optimizer_blake3)
    }

    fn tensors(&self, file: &str, blake3: &str) -> Result<BTreeMap<String, Tensor>> {
        let path = self.dir.join(file);
        if hash_file(&path)? != blake3 {
            bail!(
                "{}: does not match its BLAKE3 in {STATE_FILE}: the checkpoint is damaged; delete {} and resume from an earlier one or start again",
                path.display(),
                self.dir.display()
            );
        }
        torch::load_tensors(&path)
    }
}

/// Publishes a checkpoint of `state` in `checkpoints`, points `last` at it and, with `is_best`, `best` too, and
/// deletes those that neither points at. Returns its folder. The hashes in `state` are filled in here.
///
/// # Errors
/// The disk; what was there before stays whole.
pub fn publish(
    checkpoints: &Path,
    mut state: RunState,
    model: &BTreeMap<String, Tensor>,
    optimizer: &BTreeMap<String, Tensor>,
    is_best: bool,
) -> Result<PathBuf> {
    let name = folder_name(state.epochs_done);
    let hidden = checkpoints.join(format!(".writing-{name}"));
    let mut write = || -> Result<PathBuf> {
        remove_if_exists(&hidden)?;
        fs::create_dir_all(&hidden)?;
        torch::save_tensors(&hidden.join(MODEL_FILE), model)?;
        torch::save_tensors(&hidden.join(OPTIMIZER_FILE), optimizer)?;
        state.model_blake3 = hash_file(&hidden.join(MODEL_FILE))?;
        state.optimizer_blake3 = hash_file(&hidden.join(OPTIMIZER_FILE))?;
        let mut json = serde_json::to_vec_pretty(&state)?;
        json.push(b'\n');
        fs::write(hidden.join(STATE_FILE), json)?;
        for file in [MODEL_FILE, OPTIMIZER_FILE, STATE_FILE] {
            File::open(hidden.join(file))?.sync_all()?;
        }
        sync_dir(&hidden)?;
        let dir = checkpoints.join(&name);
        fs::rename(&hidden, &dir)?;
        sync_dir(checkpoints)?;
        point(checkpoints, "last", &name)?;
        if is_best {
            point(checkpoints, "best", &name)?;
        }
        sync_dir(checkpoints)?;
        remove_unlinked(checkpoints)?;
        Ok(dir)
    };
    write().with_context(|| format!("cannot write checkpoint {}", hidden.display()))
}

/// After a kill: finds the newest whole checkpoint, makes `last` and `best` say what its state says, and deletes
/// leftovers. `None` where there is no checkpoint.
///
/// # Errors
/// The disk, or a checkpoint of another version.
pub fn repair(checkpoints: &Path) -> Result<Option<Checkpoint>> {
    let Some(newest) = folders(checkpoints)?.pop() else {
        return Ok(None);
    };
    let checkpoint = Checkpoint::open(&checkpoints.join(&newest))?;
    point(checkpoints, "last", &newest)?;
    if let Some(epoch) = checkpoint.state.best_epoch {
        point(checkpoints, "best", &folder_name(epoch + 1))?;
    }
    remove_unlinked(checkpoints)?;
    Ok(Some(checkpoint))
}

/// The newest whole checkpoint, touching nothing. `None` where there is none.
///
/// # Errors
/// The disk, or a checkpoint of another version.
pub fn newest(checkpoints: &Path) -> Result<Option<Checkpoint>> {
    match folders(checkpoints)?.pop() {
        Some(name) => Checkpoint::open(&checkpoints.join(name)).map(Some),
        None => Ok(None),
    }
}

/// `epoch-015` after 15 epochs; `epoch-000` is the network as initialised.
pub fn folder_name(epochs_done: u32) -> String {
    format!("epoch-{epochs_done:03}")
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

/// The names `epoch-NNN` in order of NNN.
fn folders(checkpoints: &Path) -> Result<Vec<String>> {
    let mut names: Vec<(u32, String)> = entries(checkpoints)?
        .into_iter()
        .filter_map(|name| Some((name.strip_prefix("epoch-")?.parse().ok()?, name)))
        .collect();
    names.sort();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

fn entries(dir: &Path) -> Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let context = || dir.display().to_string();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(context)? {
        if let Ok(name) = entry.with_context(context)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Makes `checkpoints/link` point at its sibling `name`, in one step.
fn point(checkpoints: &Path, link: &str, name: &str) -> Result<()> {
    let hidden = checkpoints.join(format!(".{link}"));
    remove_if_exists(&hidden)?;
    std::os::unix::fs::symlink(name, &hidden)?;
    fs::rename(&hidden, checkpoints.join(link))?;
    Ok(())
}

fn remove_unlinked(checkpoints: &Path) -> Result<()> {
    let target = |link| fs::read_link(checkpoints.join(link)).ok();
    let kept = [target("last"), target("best")];
    for name in folders(checkpoints)? {
        if !kept
            .iter()
            .flatten()
            .any(|k| k.as_os_str() == OsStr::new(&name))
        {
            // Hidden first: a folder named epoch-NNN is always whole.
            let hidden = checkpoints.join(format!(".deleting-{name}"));
            remove_if_exists(&hidden)?;
            fs::rename(checkpoints.join(&name), &hidden)?;
        }
    }
    for name in entries(checkpoints)? {
        if name.starts_with('.') {
            remove_if_exists(&checkpoints.join(name))?;
        }
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
mod tests {
    use super::*;

    fn state(epochs_done: u32, best_epoch: Option<u32>) -> RunState {
        RunState {
            header: run_header(),
            epochs_done,
            steps_done: u64::from(epochs_done) * 10,
            best_epoch,
            best_f1: best_epoch.map(|_| 0.5),
            config_blake3: "c".into(),
            manifest_blake3: "m".into(),
            split_blake3: "s".into(),
            model_blake3: String::new(),
            optimizer_blake3: String::new(),
        }
    }

    fn tensors(value: f32) -> BTreeMap<String, Tensor> {
        BTreeMap::from([("weight".to_owned(), Tensor::from_slice(&[value]))])
    }

    fn names(dir: &Path) -> Vec<String> {
        entries(dir).expect("listing")
    }

    #[test]
    fn last_and_best_are_kept_and_nothing_else() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (done, best) in [(1, 0), (2, 1), (3, 1)] {
            publish(
                dir.path(),
                state(done, Some(best)),
                &tensors(done as f32),
                &tensors(0.0),
                best + 1 == done,
            )
            .expect("published");
        }
        assert_eq!(
            names(dir.path()),
            ["best", "epoch-002", "epoch-003", "last"]
        );
        let last = Checkpoint::open(&dir.path().join("last")).expect("last");
        assert_eq!(last.state.epochs_done, 3);
        assert_eq!(
            f32::try_from(&last.model().expect("model")["weight"]).expect("scalar"),
            3.0
        );
        let best = Checkpoint::open(&dir.path().join("best")).expect("best");
        assert_eq!(best.state.epochs_done, 2);
    }

    #[test]
    fn a_kill_between_the_rename_and_the_links_is_repaired() {
        let dir = tempfile::tempdir().expect("temporary directory");
        publish(
            dir.path(),
            state(1, Some(0)),
            &tensors(1.0),
            &tensors(0.0),
            true,
        )
        .expect("first");
        publish(
            dir.path(),
            state(2, Some(1)),
            &tensors(2.0),
            &tensors(0.0),
            true,
        )
        .expect("second");
        // As if killed: the links still say the first, whose folder is there, and the next is half written.
        fs::create_dir(dir.path().join("epoch-001")).expect("folder");
        for file in [MODEL_FILE, OPTIMIZER_FILE, STATE_FILE] {
            fs::copy(
                dir.path().join("epoch-002").join(file),
                dir.path().join("epoch-001").join(file),
            )
            .expect("copy");
        }
        point(dir.path(), "last", "epoch-001").expect("link");
        point(dir.path(), "best", "epoch-001").expect("link");
        fs::create_dir(dir.path().join(".writing-epoch-003")).expect("folder");
        fs::write(
            dir.path().join(".writing-epoch-003/model.safetensors"),
            b"half",
        )
        .expect("file");

        let found = repair(dir.path()).expect("repaired").expect("a checkpoint");
        assert_eq!(found.state.epochs_done, 2);
        assert_eq!(names(dir.path()), ["best", "epoch-002", "last"]);
        assert_eq!(
            fs::read_link(dir.path().join("best")).expect("link"),
            Path::new("epoch-002")
        );
    }

    #[test]
    fn a_damaged_model_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        publish(
            dir.path(),
            state(1, None),
            &tensors(1.0),
            &tensors(0.0),
            false,
        )
        .expect("published");
        let path = dir.path().join("last").join(MODEL_FILE);
        let mut bytes = fs::read(&path).expect("read");
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        fs::write(&path, bytes).expect("write");
        let checkpoint = Checkpoint::open(&dir.path().join("last")).expect("opens");
        let message = format!("{:#}", checkpoint.model().expect_err("damaged"));
        assert!(message.contains("BLAKE3"), "{message}");
        assert!(checkpoint.optimizer().is_ok());
    }

    #[test]
    fn no_checkpoint_is_none() {
        let dir = tempfile::tempdir().expect("temporary directory");
        assert!(
            newest(&dir.path().join("absent"))
                .expect("listing")
                .is_none()
        );
        assert!(repair(dir.path()).expect("listing").is_none());
    }
}
