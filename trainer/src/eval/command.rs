//! `logodex-train evaluate`: brings the rows of a dataset and the embeddings of a run, or of any other tool, to the
//! evaluator. The only file here that knows datasets and networks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_schemas::split::Fold;

use crate::config::UsageError;
use crate::dataset::{Dataset, Split};
use crate::embed::{embed_fold, open_network};
use crate::eval::{EmbeddingSet, Outcome, Picture, Settings, evaluate, table, write_outcome};
use crate::run::Which;

/// What is typed after `logodex-train evaluate`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --run runs/contrastive --out runs/contrastive\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --embeddings test.safetensors --embeddings val.safetensors --name clip --out runs/clip"
)]
pub struct EvaluateArgs {
    /// Dataset directory, as `logodex-data build` makes it.
    #[arg(long)]
    pub dataset: PathBuf,
    /// Name of a split, as `logodex-data split` draws it.
    #[arg(long)]
    pub split: String,
    /// Directory of a run: its validation and test brands are embedded and judged.
    #[arg(
        long,
        required_unless_present = "embeddings",
        conflicts_with = "embeddings"
    )]
    pub run: Option<PathBuf>,
    /// An embedding file from any tool (`embeddings` F32 [N,D], `brand` I64 [N], `row` I64 [N]). Rows of validation
    /// brands give the threshold. Several files are put together.
    #[arg(long, value_name = "FILE.safetensors")]
    pub embeddings: Vec<PathBuf>,
    /// The model's name in the results [default: the run's folder name or the first file's stem].
    #[arg(long)]
    pub name: Option<String>,
    /// Directory for evaluation.csv, episodes.csv, evaluation.json and figures/.
    #[arg(long)]
    pub out: PathBuf,
    /// Which of the run's checkpoints: last, best or epoch-NNN.
    #[arg(long, default_value = "last")]
    pub checkpoint: Which,
    /// Seed of episodes and bootstrap: models can be compared when it is the same.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// What is judged: the rows of the test brands, and of the validation brands where there are any.
struct Rows {
    test: EmbeddingSet,
    val: Option<EmbeddingSet>,
    notices: Vec<String>,
}

/// Evaluates, writes the results below `--out` and prints the table.
///
/// # Errors
/// [`UsageError`] for a path that does not exist or an embedding file that does not fit the dataset;
/// [`crate::dataset::DatasetError`] for the dataset; the disk.
pub fn evaluate_command(args: &EvaluateArgs) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let split = dataset.split(&args.split)?;
    let (path, rows) = match (&args.run, args.embeddings.first()) {
        (Some(run), _) => (run, embed(run, args.checkpoint, &dataset, &split)?),
        (None, Some(first)) => (first, read(&args.embeddings, &dataset, &split)?),
        (None, None) => return Err(UsageError("give --run or --embeddings".to_owned()).into()),
    };
    let model = match &args.name {
        Some(name) => name.clone(),
        None => model_name(path)?,
    };
    let mut outcome = judge(&model, &rows, &dataset, args)?;
    outcome.evaluation.manifest_blake3 = dataset.manifest_blake3().to_owned();
    outcome.evaluation.split = args.split.clone();
    outcome.evaluation.split_blake3 = split.blake3().to_owned();
    for notice in rows.notices.iter().chain(&outcome.notices) {
        tracing::warn!("{notice}");
    }

    let picture = |row: u64| -> Result<Picture> {
        let mut rgb = vec![0; dataset.row_bytes()];
        dataset.gather(&[row], &mut rgb)?;
        Ok(Picture {
            side_px: u32::try_from(dataset.side_px())?,
            rgb,
        })
    };
    write_outcome(&args.out, &outcome, &picture)?;
    print!("{}", table(&outcome.evaluation.rows, &[model]));
    println!(
        "{} test brands, {} rows, {} episodes per number of shots; 95 % intervals by bootstrap over brands; {}",
        outcome.evaluation.test_brands,
        outcome.evaluation.test_rows,
        outcome.evaluation.episodes,
        args.out.join("evaluation.csv").display()
    );
    Ok(())
}

fn judge(model: &str, rows: &Rows, dataset: &Dataset, args: &EvaluateArgs) -> Result<Outcome> {
    let settings = Settings {
        seed: args.seed,
        ..Settings::default()
    };
    // Rows and brands were matched to the dataset, so none of these casts can change a number.
    let image_of_row = |row: i64| dataset.image_of(row.cast_unsigned());
    let brand_name = |brand: i64| dataset.brands()[brand as usize].brand.clone();
    evaluate(
        model,
        &rows.test,
        rows.val.as_ref(),
        &image_of_row,
        &brand_name,
        &settings,
    )
    .map_err(|e| UsageError(format!("split {:?} cannot be evaluated: {e:#}", args.split)).into())
}

/// Embeds the validation and the test brands with a run.
fn embed(run: &Path, which: Which, dataset: &Dataset, split: &Split) -> Result<Rows> {
    let (net, runtime, region) = open_network(run, which, dataset, split)?;
    let has_rows = |fold: Fold| !dataset.rows(&dataset.fold(split, fold), region).is_empty();
    let embed = |fold: Fold| embed_fold(&net, &runtime, dataset, split, fold, region);
    Ok(Rows {
        test: embed(Fold::Test)?,
        val: has_rows(Fold::Val).then(|| embed(Fold::Val)).transpose()?,
        notices: vec![],
    })
}

/// Reads embedding files, puts them together and matches their rows to the dataset.
fn read(paths: &[PathBuf], dataset: &Dataset, split: &Split) -> Result<Rows> {
    let mut all: Option<EmbeddingSet> = None;
    for path in paths {
        let set = EmbeddingSet::read(path).map_err(|e| UsageError(format!("{e:#}")))?;
        match_rows(&set, dataset)
            .map_err(|reason| UsageError(format!("{}: {reason}", path.display())))?;
        all = Some(match all {
            None => set,
            Some(first) => join(first, set)
                .map_err(|reason| UsageError(format!("{}: {reason}", path.display())))?,
        });
    }
    let all = all.context("no embedding file was given")?;
    // Two files may each be right and still hold the same row.
    all.check()
        .map_err(|e| UsageError(format!("the embedding files together: {e}")))?;
    sort_by_fold(&all, dataset, split).map_err(|reason| UsageError(reason).into())
}

fn join(mut first: EmbeddingSet, second: EmbeddingSet) -> Result<EmbeddingSet, String> {
    if first.dim != second.dim {
        return Err(format!(
            "embeddings of {} values cannot be put together with the first file's of {}",
            second.dim, first.dim
        ));
    }
    first.embeddings.extend(second.embeddings);
    first.brand.extend(second.brand);
    first.row.extend(second.row);
    Ok(first)
}

/// Every row must exist and belong to the brand that the file says.
fn match_rows(set: &EmbeddingSet, dataset: &Dataset) -> Result<(), String> {
    for (&row, &brand) in set.row.iter().zip(&set.brand) {
        let n_rows = dataset.n_rows();
        if row.cast_unsigned() >= n_rows {
            return Err(format!(
                "row {row} is not in the dataset, whose rows are 0 to {}",
                n_rows.saturating_sub(1)
            ));
        }
        let truth = dataset.brand_of(row.cast_unsigned());
        if i64::from(truth) != brand {
            return Err(format!(
                "row {row} has brand {brand}, but in the dataset it is of brand {truth} ({:?}): the file was made for another build",
                dataset.brands()[truth as usize].brand
            ));
        }
    }
    Ok(())
}

fn sort_by_fold(all: &EmbeddingSet, dataset: &Dataset, split: &Split) -> Result<Rows, String> {
    let of = |fold: Fold| all.filter(|i| split.folds()[all.brand[i] as usize] == Some(fold));
    let expected = |fold: Fold| {
        dataset
            .fold(split, fold)
            .iter()
            .map(|brand| brand.n_rows)
            .sum::<u64>()
    };
    let (test, val, train) = (of(Fold::Test), of(Fold::Val), of(Fold::Train));
    if test.is_empty() {
        return Err(format!(
            "none of the {} embeddings belongs to a test brand of split {:?}",
            all.len(),
            split.info.name
        ));
    }
    let mut notices = Vec::new();
    if !train.is_empty() {
        notices.push(format!(
            "{} embeddings of training brands are not used",
            train.len()
        ));
    }
    for (fold, set) in [(Fold::Test, &test), (Fold::Val, &val)] {
        let (found, expected) = (set.len() as u64, expected(fold));
        if 0 < found && found < expected {
            notices.push(format!(
                "{} of the {expected} {} rows have no embedding: the result cannot be compared with one over all rows",
                expected - found,
                fold.name()
            ));
        }
    }
    Ok(Rows {
        test,
        val: Some(val).filter(|val| !val.is_empty()),
        notices,
    })
}

/// The run's folder name or the file's stem.
fn model_name(path: &Path) -> Result<String> {
    // `runs/a/..` and `.` have no name of their own until they are resolved.
    let resolved = std::fs::canonicalize(path).with_context(|| path.display().to_string())?;
    let name = if resolved.is_dir() {
        resolved.file_name()
    } else {
        resolved.file_stem()
    };
    let name = name.with_context(|| format!("{}: has no name; give --name", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}
