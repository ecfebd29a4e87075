//! Turns rows into embeddings: for validation, for the evaluator, and as a file for any other tool.

use std::path::Path;

use anyhow::{Context, Result, bail};
use logodex_dataset::{Dataset, Split};
use logodex_evaluation::embeddings::set::EmbeddingSet;
use logodex_evaluation::history;
use logodex_program::Failure;
use logodex_program::output::print;
use logodex_program::progress::ImageProgress;
use logodex_schemas::dataset::Region;
use logodex_schemas::run::RunState;
use logodex_schemas::run::history::History;
use logodex_schemas::split::Fold;
use logodex_schemas::train::{ModelConfig, TrainConfig};
use tch::{Kind, Tensor};

use super::learner::network_state;
use crate::augment::prepare;
use crate::data::batch::BatchPlan;
use crate::data::loader::{Source, load};
use crate::model::{EmbeddingNet, Mode};
use crate::run::{self, Which};
use crate::runtime::Runtime;
use crate::torch;

/// Rows per forward pass. Fixed, so that the same rows give the same embeddings whatever the run's batch size.
pub(super) const BATCH: usize = 64;

/// `logodex-train embed`: embeds a fold with a checkpoint of a run and writes the file. Without `region` it is what the run
/// was trained on.
///
/// # Errors
/// A dataset, split, run or checkpoint that does not exist or does not fit; see [`open_network`].
pub fn embed_command(
    dataset: &Path,
    split: &str,
    run: &Path,
    which: Which,
    fold: Fold,
    region: Option<Region>,
    out: &Path,
) -> Result<()> {
    let dataset = Dataset::open(dataset)?;
    let split = dataset.split(split)?;
    let opened = open_network(run, which, &dataset, &split)?;
    let region = region.unwrap_or(opened.region);
    let embeddings = embed_fold(&opened, &dataset, &split, fold, region)?;
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    embeddings.write(out, Some(&opened.history))?;
    if fold != Fold::Train {
        let trained_on = history::trained_on(&opened.history, &dataset, &split)?;
        for leak in history::warnings(&trained_on, &dataset, &split) {
            tracing::warn!("{}: {leak}", out.display());
        }
    }
    print(format_args!(
        "{}: {} embeddings of {} numbers\n",
        out.display(),
        embeddings.row.len(),
        embeddings.dim
    ));
    Ok(())
}

/// The network of a run's checkpoint, ready to embed.
pub struct OpenedRun {
    /// The network, on the device that the run's configuration names.
    pub net: EmbeddingNet,
    /// Where it computes.
    pub runtime: Runtime,
    /// What it was trained on: whole images, objects or both.
    pub region: Region,
    /// The brands that it was trained on.
    pub history: History,
    /// Its configuration.
    pub config: TrainConfig,
    /// Where the run stood.
    pub state: RunState,
}

/// Opens the network of a run's checkpoint.
///
/// # Errors
/// [`Failure::Usage`] when `run` is no run, has no such checkpoint, or was trained on another split of this very dataset,
/// whose training brands may be this split's test brands. A run that was trained on another dataset is accepted: its
/// history says which brands it has seen.
pub fn open_network(
    run: &Path,
    which: Which,
    dataset: &Dataset,
    split: &Split,
) -> Result<OpenedRun> {
    let (config, checkpoint) = run::open(run, which)?;
    let state = &checkpoint.state;
    if state.steps_done > 0
        && state.manifest_blake3 == dataset.manifest_blake3()
        && state.split_blake3 != split.blake3()
    {
        return Err(Failure::Usage(format!(
            "{}: trained on another split of this dataset, so brands of split {:?} may have been trained on; use the run's own split",
            run.display(),
            split.info.name
        ))
        .into());
    }
    let runtime = Runtime::start(&config.runtime)?;
    let model = ModelConfig {
        weights: None,
        ..config.model.clone()
    };
    let mut net = EmbeddingNet::new(&model, config.seed, runtime.device, runtime.channels_last)?;
    net.load_state(&network_state(checkpoint.model()?))
        .with_context(|| checkpoint.dir.display().to_string())?;
    Ok(OpenedRun {
        net,
        runtime,
        region: config.data.region,
        history: checkpoint.history()?,
        config,
        state: checkpoint.state,
    })
}

/// Embeds every row of a fold that shows `region`, in row order.
///
/// # Errors
/// [`Failure::Usage`] when the fold is empty; a damaged dataset.
pub fn embed_fold(
    run: &OpenedRun,
    dataset: &Dataset,
    split: &Split,
    fold: Fold,
    region: Region,
) -> Result<EmbeddingSet> {
    let brands = dataset.fold(split, fold);
    let rows = dataset.rows(&brands, region);
    if rows.is_empty() {
        return Err(Failure::Usage(format!(
            "split {:?} has no rows of that region in fold {}",
            split.info.name,
            fold.name()
        ))
        .into());
    }
    let mut progress = ImageProgress::start("embedding", rows.len() as u64, 0);
    let source = Source::Host(dataset);
    let embeddings = embed_rows(&run.net, &run.runtime, source, &rows, Some(&mut progress))?;
    progress.finish();
    Ok(EmbeddingSet {
        dim: run.net.embedding_dim() as usize,
        embeddings,
        brand: rows
            .iter()
            .map(|&row| i64::from(dataset.brand_of(row)))
            .collect(),
        row: rows.iter().map(|row| *row as i64).collect(),
    })
}

/// Embeddings of `rows` in that order, `[rows.len(), embedding_dim]` row-major, in evaluation mode, without gradient
/// and without augmentation; from features, of the first view.
///
/// # Errors
/// A damaged dataset, or an embedding that is no finite number.
pub fn embed_rows(
    net: &EmbeddingNet,
    runtime: &Runtime,
    source: Source<'_>,
    rows: &[u64],
    progress: Option<&mut ImageProgress>,
) -> Result<Vec<f32>> {
    let dim = net.embedding_dim() as usize;
    embed_rows_with(dim, runtime, source, rows, progress, |input| {
        let embed = || match source {
            Source::Features(file) => net.forward_from(input, file.layout().level, Mode::Eval),
            Source::Host(_) | Source::Device(_) => net.forward(&prepare(input, None), Mode::Eval),
        };
        Ok(torch::autocast_bf16(runtime.device, runtime.bf16, embed))
    })
}

/// As [`embed_rows`], by what makes embeddings `[B, dim]` of what `source` gives: pictures u8 `[B, side, side, 3]` on the
/// device.
///
/// # Errors
/// As there, and those of `embed`.
pub fn embed_rows_with(
    dim: usize,
    runtime: &Runtime,
    source: Source<'_>,
    rows: &[u64],
    mut progress: Option<&mut ImageProgress>,
    mut embed: impl FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Vec<f32>> {
    let plans = rows
        .chunks(BATCH)
        .map(|rows| BatchPlan {
            rows: rows.to_vec(),
            keys: Vec::new(),
            views: vec![0; rows.len()],
            targets: Vec::new(),
            roles: 1,
        })
        .collect();
    let mut all = vec![0f32; rows.len() * dim];
    let mut filled = 0;
    std::thread::scope(|scope| {
        for batch in load(scope, source, plans, runtime.device) {
            let batch = batch?;
            let embeddings = tch::no_grad(|| embed(&batch.input))?
                .to_device(tch::Device::Cpu)
                .to_kind(Kind::Float)
                .contiguous();
            let into = &mut all[filled..filled + batch.plan.rows.len() * dim];
            embeddings.f_copy_data(into, batch.plan.rows.len() * dim)?;
            if into.iter().any(|x| !x.is_finite()) {
                bail!(
                    "the network gives embeddings that are not finite, from row {} on: its weights have diverged",
                    batch.plan.rows[0]
                );
            }
            filled += into.len();
            if let Some(progress) = &mut progress {
                progress.advance(batch.plan.rows.len() as u64, None);
            }
        }
        Ok(all)
    })
}
