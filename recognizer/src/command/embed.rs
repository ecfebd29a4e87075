//! `logodex embed`: embeddings as a file, of a dataset's rows for `logodex-eval`, or of pictures for any other tool.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_dataset::Fold;
use logodex_embeddings::npy;
use logodex_embeddings::set::EmbeddingSet;
use logodex_inference::Model;
use logodex_program::durable::write_whole;
use logodex_program::output::print;
use logodex_program::usage;

use super::inputs::{Inputs, embed, tell_failures};
use super::opened::open_model;
use super::table::count;
use super::transfer::{DatasetArgs, embed_rows};

/// What is typed after `embed`.
#[derive(Debug, clap::Args)]
pub struct EmbedArgs {
    /// The model, as `logodex-train export` writes it.
    #[arg(long, value_name = "MODEL.onnx")]
    model: PathBuf,
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    inputs: Inputs,
    /// The file to write, .npy or, of a dataset's rows, .safetensors. Beside a .npy of pictures lies OUT.csv, which says what
    /// each line is of; beside one of rows OUT.rows.npy.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Threads, 0 for one per core.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

/// `logodex embed`.
///
/// # Errors
/// A model, dataset or file that cannot be used; pictures that could not be embedded, when the others were.
pub fn embed_command(args: &EmbedArgs) -> Result<()> {
    let npy = match args.out.extension().and_then(|e| e.to_str()) {
        Some("npy") => true,
        Some("safetensors") => false,
        _ => {
            return Err(usage(format!(
                "{}: call it .npy or .safetensors, by what it shall be",
                args.out.display()
            )));
        }
    };
    let pictures = !args.inputs.files.is_empty() || args.inputs.list.is_some();
    if pictures == args.dataset.is_given() {
        return Err(usage(
            "give pictures, or --dataset and --split: one of the two",
        ));
    }
    if pictures && !npy {
        return Err(usage(format!(
            "{}: a .safetensors file says of which dataset row each embedding is, and pictures are none; write a .npy",
            args.out.display()
        )));
    }
    let model = open_model(&args.model, args.threads)?;
    match pictures {
        true => of_pictures(args, &model),
        false => of_rows(args, &model, npy),
    }
}

fn of_rows(args: &EmbedArgs, model: &Model, npy: bool) -> Result<()> {
    let opened = args.dataset.open(model, Fold::Test)?;
    let dataset = &opened.dataset;
    let rows = opened.rows_of(&opened.brands.iter().collect::<Vec<_>>());
    if rows.is_empty() {
        return Err(usage(format!("{}: no rows of that region", opened.text())));
    }
    let set = EmbeddingSet {
        dim: model.dim(),
        embeddings: embed_rows(model, dataset, &rows)?,
        brand: rows
            .iter()
            .map(|&row| i64::from(dataset.brand_of(row)))
            .collect(),
        row: rows.iter().map(|&row| row.cast_signed()).collect(),
    };
    if npy {
        write_whole(
            &args.out.with_extension("rows.npy"),
            &npy::of_integers(&set.row),
        )?;
        write_whole(&args.out, &npy::of_floats(&set.embeddings, set.dim))?;
    } else {
        set.write(&args.out, Some(&model.metadata().history))?;
    }
    tell(&args.out, set.len(), set.dim);
    Ok(())
}

fn of_pictures(args: &EmbedArgs, model: &Model) -> Result<()> {
    let (seen, failures) = tell_failures(embed(model, args.inputs.find()?, false)?);
    let mut lines = csv::Writer::from_writer(Vec::new());
    lines.write_record(["line", "file", "blake3", "x", "y", "width", "height"])?;
    let mut embeddings = Vec::with_capacity(seen.len() * model.dim());
    for (line, (input, embedded)) in seen.iter().enumerate() {
        let crop = embedded.square.crop;
        let numbers = [crop.x, crop.y, crop.width, crop.height].map(|n| n.to_string());
        let path = input.path.to_str().context("a path that is not UTF-8")?;
        let hash = embedded.square.blake3.to_hex();
        let begin = [line.to_string(), path.to_owned(), hash.to_string()];
        lines.write_record(begin.iter().chain(&numbers))?;
        embeddings.extend_from_slice(&embedded.embedding);
    }
    write_whole(&args.out.with_extension("csv"), &lines.into_inner()?)?;
    write_whole(&args.out, &npy::of_floats(&embeddings, model.dim()))?;
    tell(&args.out, seen.len(), model.dim());
    failures.end("embedded")
}

fn tell(out: &Path, n: usize, dim: usize) {
    print(format_args!(
        "{}: {} of {dim} numbers\n",
        out.display(),
        count(n, "embedding")
    ));
}
