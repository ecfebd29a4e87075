//! Computes what frozen stages give once, for each view of each training picture and for each picture of validation, and
//! keeps it in files that every step and every validation then reads.
//!
//! The files belong to one freeze level and are a function of the configuration, the dataset and the frozen weights. So a
//! resumed run takes up what is there or computes the same again; the level's end is theirs, and the run's. In a folder that
//! runs share, a file's name says what it is a function of, and it stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use logodex_dataset::Dataset;
use logodex_program::Failure;
use logodex_program::progress::StageProgress;
use logodex_schemas::train::{AugmentConfig, TrainConfig};
use tch::{Kind, Tensor};

use super::embed::BATCH;
use crate::data::batch::{BatchPlan, view_key, views};
use crate::data::feature_file::{FeatureFile, FeatureWriter, Layout};
use crate::data::loader::{Source, load};
use crate::model::EmbeddingNet;
use crate::run::interrupt::Interrupted;
use crate::runtime::Runtime;
use crate::{augment, torch};

const FOLDER: &str = "features";
const GIB: f64 = (1_u64 << 30) as f64;

/// What is computed from.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) runtime: &'a Runtime,
    pub(super) dataset: &'a Dataset,
    pub(super) net: &'a EmbeddingNet,
}

/// The files of a run.
#[derive(Debug)]
pub(super) struct CachedFeatures {
    dir: PathBuf,
    /// Whether other runs have files there, too.
    shared: bool,
    /// Rising; training rows and validation rows.
    rows: [Vec<u64>; 2],
    /// Freeze levels whose output is small enough.
    levels: Vec<u8>,
    now: Option<Level>,
}

/// The files of one freeze level.
#[derive(Debug, Clone)]
pub(super) struct Level {
    level: u8,
    pub(super) train: Arc<FeatureFile>,
    /// None where nothing is validated.
    pub(super) val: Option<Arc<FeatureFile>>,
}

impl CachedFeatures {
    /// Those of a run in `run`, where its configuration asks for any; `shared` is the folder for several runs, if there is one.
    pub(super) fn of_run(
        run: &Path,
        shared: Option<&Path>,
        rows: [Vec<u64>; 2],
        levels: Vec<u8>,
    ) -> Option<Self> {
        let rows = rows.map(|mut rows| {
            rows.sort_unstable();
            rows.dedup();
            rows
        });
        (!levels.is_empty()).then(|| Self {
            dir: shared.map_or_else(|| run.join(FOLDER), Path::to_owned),
            shared: shared.is_some(),
            rows,
            levels,
            now: None,
        })
    }

    /// The files for an epoch at this freeze level: those that are there, else computed now from the pictures of `train` and
    /// of the dataset. None where nothing is kept at that level. What belongs to another level is deleted first, unless the
    /// folder is shared.
    ///
    /// # Errors
    /// The disk; a damaged dataset; a signal, which `interrupted` tells.
    pub(super) fn at(
        &mut self,
        level: u8,
        given: Given<'_>,
        train: Source<'_>,
        interrupted: &dyn Fn() -> Option<Interrupted>,
    ) -> Result<Option<Level>> {
        if self.now.as_ref().is_some_and(|now| now.level == level) {
            return Ok(self.now.clone());
        }
        self.now = None;
        let name = |fold: &str| format!("level{level}_{fold}.safetensors");
        let (of_train, of_val) = (name("train"), name("val"));
        fs::create_dir_all(&self.dir).with_context(|| self.dir.display().to_string())?;
        if !self.shared {
            self.delete_all_but(&[&of_train, &of_val])?;
        }
        if !self.levels.contains(&level) {
            return Ok(None);
        }
        let augment = given.config.augment.as_ref();
        let n_views = views(given.config).unwrap_or(1);
        let [train_rows, val_rows] = &self.rows;
        let probe = probe(given, level);
        let file = |name: &str, rows: &[u64], n_views, augment, source| {
            let layout = layout(given, (level, &probe), rows, (n_views, augment))?;
            let path = match self.shared {
                true => self.dir.join(format!("{}-{name}", layout.digest()?)),
                false => self.dir.join(name),
            };
            open_or_compute(&path, layout, augment, given, source, interrupted)
        };
        let host = Source::Host(given.dataset);
        let train = file(&of_train, train_rows, n_views, augment, train)?;
        let val = match val_rows.is_empty() {
            true => None,
            false => Some(Arc::new(file(&of_val, val_rows, 1, None, host)?)),
        };
        let train = Arc::new(train);
        self.now = Some(Level { level, train, val });
        Ok(self.now.clone())
    }

    /// Deletes all files, once the run is over, unless others share them.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn delete(self) -> Result<()> {
        if self.shared {
            return Ok(());
        }
        match fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
        .with_context(|| self.dir.display().to_string())
    }

    fn delete_all_but(&self, kept: &[&str]) -> Result<()> {
        let each = || -> std::io::Result<()> {
            for entry in fs::read_dir(&self.dir)? {
                let entry = entry?;
                if !kept.iter().any(|name| entry.file_name() == *name) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        each().with_context(|| self.dir.display().to_string())
    }
}

/// The freeze levels of a configuration whose output for so many training and validation pictures is no larger than it
/// allows; none where it keeps nothing. Told are those that are larger.
///
/// # Errors
/// [`Failure::Usage`] where there is none at all.
pub(super) fn levels(
    config: &TrainConfig,
    runtime: &Runtime,
    (net, side): (&EmbeddingNet, usize),
    [n_train, n_val]: [usize; 2],
) -> Result<Vec<u8>, Failure> {
    let Some(gib) = config.runtime.feature_cache_gib else {
        return Ok(Vec::new());
    };
    let n_views = views(config).unwrap_or(1);
    let outputs = n_train as f64 * f64::from(n_views) + n_val as f64;
    let all = std::iter::once(config.schedule.freeze)
        .chain(config.schedule.unfreeze.iter().map(|u| u.freeze))
        .filter(|level| *level > 0);
    let (mut fitting, mut told) = (Vec::new(), Vec::new());
    for level in all {
        let blank = Tensor::zeros(
            [1, side as i64, side as i64, 3],
            (Kind::Uint8, runtime.device),
        );
        let output = output(net, runtime, &augment::prepare(&blank, None), level);
        let bytes = outputs * (output.numel() * output.kind().elt_size_in_bytes()) as f64;
        match bytes <= gib * GIB {
            true => fitting.push(level),
            false => told.push(format!(
                "what the first {level} stages give of {n_train} training pictures in {n_views} views and of {n_val} validation pictures takes {:.2} GiB",
                bytes / GIB
            )),
        }
    }
    let told = told.join(", ");
    if fitting.is_empty() {
        return Err(Failure::Usage(format!(
            "runtime.feature_cache_gib = {gib}: {told}; raise it, lower augment.views or data.total_images, or leave it out, and every step computes the frozen stages"
        )));
    }
    if !told.is_empty() {
        tracing::warn!(
            "runtime.feature_cache_gib = {gib}: {told}, so its epochs compute them in every step"
        );
    }
    Ok(fitting)
}

/// What frozen stages give of normalised pictures, `[B, …]`.
fn output(net: &EmbeddingNet, runtime: &Runtime, images: &Tensor, level: u8) -> Tensor {
    tch::no_grad(|| {
        torch::autocast_bf16(runtime.device, runtime.bf16, || {
            net.frozen_output(images, level)
        })
    })
}

/// What frozen stages give of one picture that is always the same: it tells weights, architecture and arithmetic apart.
fn probe(given: Given<'_>, level: u8) -> Tensor {
    let side = given.dataset.side_px() as i64;
    let bytes = Tensor::arange(side * side * 3, (Kind::Int64, given.runtime.device));
    let noise = (bytes.square() * 31 + bytes * 7).remainder(251);
    let noise = noise.to_kind(Kind::Uint8).view([1, side, side, 3]);
    let images = augment::prepare(&noise, None);
    output(given.net, given.runtime, &images, level)
}

/// A file's layout, for `rows` in views of an augmentation.
fn layout(
    given: Given<'_>,
    (level, probe): (u8, &Tensor),
    rows: &[u64],
    (n_views, augment): (u32, Option<&AugmentConfig>),
) -> Result<Layout> {
    let host = probe.to_device(tch::Device::Cpu).contiguous();
    let mut bytes = vec![0; host.numel() * host.kind().elt_size_in_bytes()];
    host.copy_data_u8(&mut bytes, host.numel());
    let Runtime {
        device, threads, ..
    } = given.runtime;
    let text = format!(
        "1 {} {} {} {device:?} {threads} {}",
        given.dataset.manifest_blake3(),
        given.config.seed,
        serde_json::to_string(&augment)?,
        blake3::hash(&bytes)
    );
    Ok(Layout {
        level,
        made_from: blake3::hash(text.as_bytes()).to_string(),
        rows: rows.to_vec(),
        views: n_views,
        kind: host.kind(),
        shape: host.size()[1..].to_vec(),
    })
}

fn open_or_compute(
    path: &Path,
    layout: Layout,
    augment: Option<&AugmentConfig>,
    given: Given<'_>,
    source: Source<'_>,
    interrupted: &dyn Fn() -> Option<Interrupted>,
) -> Result<FeatureFile> {
    if let Some(file) = FeatureFile::open(path, layout.clone())? {
        tracing::info!("{}: taken up", path.display());
        return Ok(file);
    }
    let Given {
        config,
        runtime,
        net,
        ..
    } = given;
    let shown: Vec<(u64, u32)> = layout
        .rows
        .iter()
        .flat_map(|row| (0..layout.views).map(|view| (*row, view)))
        .collect();
    let plan = |shown: &[(u64, u32)]| BatchPlan {
        rows: shown.iter().map(|(row, _)| *row).collect(),
        keys: shown
            .iter()
            .map(|(row, view)| view_key(*row, *view))
            .collect(),
        views: shown.iter().map(|(_, view)| *view).collect(),
        targets: Vec::new(),
        roles: 1,
    };
    let plans = shown.chunks(BATCH).map(plan).collect();
    let level = layout.level;
    let progress = StageProgress::new("frozen stages");
    let mut done = 0;
    let mut writer = FeatureWriter::create(path, layout)?;
    std::thread::scope(|scope| -> Result<()> {
        for batch in load(scope, source, plans, runtime.device) {
            let batch = batch?;
            let side_px = batch.input.size()[1] as usize;
            let drawn =
                augment.map(|a| augment::draw(a, side_px, config.seed, 0, &batch.plan.keys));
            let images = augment::prepare(&batch.input, drawn.as_ref());
            writer.push(&output(net, runtime, &images, level))?;
            done += batch.plan.rows.len() as u64;
            progress.set(done, shown.len() as u64);
            if let Some(interrupted) = interrupted() {
                return Err(interrupted.into());
            }
        }
        Ok(())
    })?;
    writer.finish()
}
