//! `logodex-train export`: a run's network as one ONNX file, with all that is needed to use it rightly in its metadata.
//!
//! What is exported is a graph ([`crate::onnx`]), and it is that graph that is judged here: its thresholds are set on embeddings
//! that it gives itself, in the precision that it is written in.

mod calibrate;
mod source;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_dataset::Dataset;
use logodex_program::durable::write_whole;
use logodex_program::output::print;
use logodex_program::usage;
use logodex_schemas::header::seal;
use logodex_schemas::onnx::{
    Distance, METADATA_KEY, ModelMetadata, Precision, Preprocessing, fingerprint, model_header,
};

use crate::augment::{MEAN, STD};
use crate::onnx::graph::append_metadata;
use crate::onnx::half::with_half_weights;
use crate::onnx::int8::quantized;
use crate::run::Which;
use crate::torch;
use crate::train::embed::{OpenedRun, open_network};
use calibrate::{agreement, calibration, ranges, regions, validation_rows};

/// What is typed after `logodex-train export`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  logodex-train export --run runs/contrastive --out model.onnx\n  logodex-train export --run runs/contrastive --out model_int8.onnx --precision int8"
)]
pub struct ExportArgs {
    /// Directory of the run.
    #[arg(long)]
    pub run: PathBuf,
    /// File to write.
    #[arg(long, value_name = "FILE.onnx")]
    pub out: PathBuf,
    /// What the weights are stored as: fp32; fp16, half the file; int8, a quarter, and faster on a CPU.
    #[arg(long, default_value = "fp32", value_parser = parse_precision)]
    pub precision: Precision,
    /// Which of the run's checkpoints: last, best or epoch-NNN.
    #[arg(long, default_value = "last")]
    pub checkpoint: Which,
    /// Dataset directory, for preprocessing and thresholds [default: where it lay when the run was trained].
    #[arg(long)]
    pub dataset: Option<PathBuf>,
    /// Name of the split the run was trained on [default: as it was then].
    #[arg(long)]
    pub split: Option<String>,
    /// Replace the file if it is there.
    #[arg(long)]
    pub replace: bool,
}

fn parse_precision(name: &str) -> Result<Precision, String> {
    Precision::ALL
        .into_iter()
        .find(|precision| precision.name() == name)
        .ok_or_else(|| "must be fp32, fp16 or int8".to_owned())
}

/// Writes the file, whole or not at all, and tells what it is.
///
/// # Errors
/// [`logodex_program::Failure::Usage`] when `run` is no run, its data are not found, or the file is there already; weights that are
/// missing, damaged or not finite; the disk.
pub fn export_command(args: &ExportArgs) -> Result<()> {
    if args.out.exists() && !args.replace {
        return Err(usage(format!(
            "{}: is there already; name another file with --out, or say --replace",
            args.out.display()
        )));
    }
    let (dataset, split) = source::open(
        &args.run,
        args.checkpoint,
        args.dataset.as_deref(),
        args.split.as_deref(),
    )?;
    let run = open_network(&args.run, args.checkpoint, &dataset, &split)?;
    // The precision of training is none of the file's.
    torch::set_tf32(false);
    let side = dataset.side_px() as i64;
    let full = run.net.to_graph(side, MEAN, STD);
    let val = validation_rows(&run, &dataset, &split);
    let graph = match args.precision {
        Precision::Fp32 => None,
        Precision::Fp16 => Some(with_half_weights(&full)?),
        Precision::Int8 => {
            let ranges = ranges(&full, &run, &dataset, &split)?;
            Some(quantized(&full, &ranges)?)
        }
    };
    let agreement = match &graph {
        None => None,
        Some(graph) => agreement((&full, graph), &run, &dataset, &split, &val)?,
    };
    let graph = graph.unwrap_or(full);
    let calibration = calibration(&graph, &run, &dataset, &split, &val)?;

    let mut file = graph
        .to_file()
        .with_context(|| args.run.display().to_string())?;
    let metadata = ModelMetadata {
        header: model_header(),
        created_by: concat!("logodex-train ", env!("CARGO_PKG_VERSION")).to_owned(),
        run: run_name(&args.run)?,
        epochs_done: run.state.epochs_done,
        model_blake3: run.state.model_blake3.clone(),
        manifest_blake3: run.state.manifest_blake3.clone(),
        arch: run.config.model.arch,
        pooling: run.config.model.pooling,
        head: run.config.model.head,
        preprocessing: preprocessing(&dataset, &run),
        embedding_dim: u32::try_from(run.net.embedding_dim())?,
        distance: Distance::Cosine,
        precision: args.precision,
        agreement,
        calibration,
        history: run.history.clone(),
        fingerprint: fingerprint(&file).map_err(|e| anyhow::anyhow!("{e}"))?,
        seal: String::new(),
    };
    append_metadata(
        &mut file,
        METADATA_KEY,
        &String::from_utf8(seal(&metadata)?)?,
    );
    if let Some(parent) = args.out.parent() {
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    write_whole(&args.out, &file)?;
    tell(&args.out, &file, &metadata);
    Ok(())
}

/// The run's folder name; `.` has none of its own until it is resolved.
fn run_name(run: &Path) -> Result<String> {
    let resolved = std::fs::canonicalize(run).with_context(|| run.display().to_string())?;
    let name = resolved.file_name().unwrap_or(resolved.as_os_str());
    Ok(name.to_string_lossy().into_owned())
}

fn preprocessing(dataset: &Dataset, run: &OpenedRun) -> Preprocessing {
    let manifest = dataset.manifest();
    Preprocessing {
        side: manifest.config.side,
        fit: manifest.config.fit,
        region: regions(run, dataset).0,
        context: manifest.config.context,
        encoding: manifest.encoding,
        jpeg_quality: manifest.config.jpeg_quality,
        decoder: manifest.decoder.clone(),
        resizer: manifest.resizer.clone(),
        mean: MEAN,
        std: STD,
    }
}

fn tell(out: &Path, file: &[u8], metadata: &ModelMetadata) {
    print(format_args!(
        "{}: {:.1} MB, {}, embeddings of {} numbers, fingerprint {:.12}\n",
        out.display(),
        file.len() as f64 / 1e6,
        metadata.precision.name(),
        metadata.embedding_dim,
        metadata.fingerprint
    ));
    if let Some(agreement) = metadata.agreement {
        print(format_args!(
            "similarity to the run's own embeddings over {} rows: {:.5} on average, {:.5} at least\n",
            agreement.rows, agreement.mean, agreement.lowest
        ));
    }
    let Some(calibration) = &metadata.calibration else {
        return;
    };
    let largest = calibration.galleries.iter().max_by_key(|g| g.enrolled);
    let Some(gallery) = largest else {
        return;
    };
    print(format_args!(
        "thresholds from {} validation brands; with {} of them enrolled, {} picture{} each:\n",
        calibration.brands.len(),
        gallery.enrolled,
        gallery.shots,
        if gallery.shots == 1 { "" } else { "s" }
    ));
    for threshold in gallery.thresholds.iter().filter(|t| t.far <= 0.1) {
        print(format_args!(
            "  {:>5.1} % of strangers accepted from similarity {:.4} on ({} of {})\n",
            threshold.far * 100.0,
            threshold.similarity,
            threshold.false_accepts,
            gallery.unknown_probes
        ));
    }
}
