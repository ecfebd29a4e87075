//! `logodex-train evaluate`: brings the rows of a dataset and the embeddings of a run, or of any other tool, to the
//! evaluator. The only file here that knows networks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_schemas::dataset::{BoxRow, Region};
use logodex_schemas::split::Fold;

use crate::embed::{embed_fold, open_network};
use crate::run::Which;
use logodex_dataset::dataset::{Dataset, Split};
use logodex_evaluation::judge::floors::{self, COLOUR_HISTOGRAM};
use logodex_evaluation::judge::map::{MAX_BRANDS, MIN_BRANDS, Mapped};
use logodex_evaluation::judge::matching::{self, Rows};
use logodex_evaluation::judge::slices::Logo;
use logodex_evaluation::judge::table::protocols_table;
use logodex_evaluation::judge::{
    EmbeddingSet, Facts, Outcome, Picture, Protocol, Settings, Subject, evaluate, region_name,
    table, write_outcome,
};
use logodex_program::Failure;

/// What is typed after `logodex-train evaluate`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --run runs/contrastive --out runs/contrastive\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --embeddings test.safetensors --embeddings val.safetensors --name mine --out runs/mine\n  logodex-train evaluate --dataset data/logodet3k --split paper \\\n    --embeddings clip.npy --rows rows.npy --name clip --out runs/clip"
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
    /// An embedding file from any tool: safetensors (`embeddings` F32 [N,D], `brand` I64 [N], `row` I64 [N]), or
    /// NumPy's .npy ([N,D] floats) with its --rows. Rows of validation brands give the thresholds. Several files are put
    /// together.
    #[arg(long, value_name = "FILE")]
    pub embeddings: Vec<PathBuf>,
    /// For each .npy file the dataset rows of its embeddings: .npy (int64 [N]) or CSV with a column `row`.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub rows: Vec<PathBuf>,
    /// The model's name in the results [default: the run's folder name or the first file's stem].
    #[arg(long)]
    pub name: Option<String>,
    /// Directory for evaluation.csv, evaluation.json, the episodes and what else was found.
    #[arg(long)]
    pub out: PathBuf,
    /// Which of the run's checkpoints: last, best or epoch-NNN.
    #[arg(long, default_value = "last")]
    pub checkpoint: Which,
    /// What to ask, separated by commas.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values = ["paper", "paper_cosine", "n_way_k_shot", "retrieval", "open_set"]
    )]
    pub protocols: Vec<Protocol>,
    /// What the rows show: image, object or both, each judged by itself [default: what the run was trained on, then
    /// whatever else the dataset holds].
    #[arg(long, value_parser = parse_region)]
    pub region: Option<Region>,
    /// Seed of episodes and bootstrap: models can be compared when it is the same.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// The 3 to 20 test brands of the t-SNE map, as in brands.csv, separated by commas; in quotes where a name holds a
    /// comma [default: ten drawn from the seed].
    #[arg(long, value_name = "NAMES")]
    pub map_brands: Option<String>,
}

/// Evaluates, writes the results below `--out` and prints the tables.
///
/// # Errors
/// [`Failure::Usage`] for a path that does not exist, an embedding file that does not fit the dataset, or a region that the
/// dataset does not hold; [`logodex_dataset::dataset::DatasetError`] for the dataset; the disk.
pub fn evaluate_command(args: &EvaluateArgs) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let split = dataset.split(&args.split)?;
    let mut mapped = match &args.map_brands {
        Some(names) => map_brands(names, &dataset, &split)?,
        None => Mapped::Drawn,
    };
    let boxes = dataset.boxes()?;
    let (path, rows) = match (&args.run, args.embeddings.first()) {
        (Some(run), _) => (run, embed(run, args, &dataset, &split)?),
        (None, Some(first)) => {
            let all = matching::read(&args.embeddings, &args.rows, &dataset, &split)?;
            for notice in &all.notices {
                tracing::warn!("{notice}");
            }
            let regions = regions(args.region, &dataset, Region::Image);
            let of = |region| Some((region, all.of_region(&dataset, region)?));
            (first, regions.into_iter().filter_map(of).collect())
        }
        (None, None) => return Err(Failure::Usage("give --run or --embeddings".to_owned()).into()),
    };
    let model = match &args.name {
        Some(name) => name.clone(),
        None => model_name(path)?,
    };
    if floors::FLOORS.contains(&model.as_str()) {
        return Err(Failure::Usage(format!(
            "{model:?} is the name of a floor; name the model otherwise with --name"
        ))
        .into());
    }
    let mut outcome: Option<Outcome> = None;
    for (region, rows) in &rows {
        // The map is of the first region.
        let mapped = std::mem::replace(&mut mapped, Mapped::Nobody);
        let settings = Settings {
            seed: args.seed,
            protocols: args.protocols.clone(),
            region: *region,
            mapped,
            ..Settings::default()
        };
        let next = judge(&model, rows, &dataset, boxes.as_deref(), &settings)
            .with_context(|| format!("split {:?} cannot be evaluated", args.split))?;
        match &mut outcome {
            None => outcome = Some(next),
            Some(outcome) => outcome.append(next),
        }
    }
    let mut outcome = outcome.ok_or_else(|| {
        Failure::Usage(format!(
            "split {:?} has no test row of that region with an embedding",
            args.split
        ))
    })?;
    outcome.evaluation.manifest_blake3 = dataset.manifest_blake3().to_owned();
    outcome.evaluation.split = args.split.clone();
    outcome.evaluation.split_blake3 = split.blake3().to_owned();
    for notice in &outcome.notices {
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
    let evaluation = &outcome.evaluation;
    print!("{}", table(&evaluation.rows, std::slice::from_ref(&model)));
    print!("{}", protocols_table(&evaluation.rows, &model));
    println!(
        "{} test brands, {} rows, {} episodes per number of shots; 95 % intervals by bootstrap over brands; {}",
        evaluation.test_brands,
        evaluation.test_rows,
        evaluation.episodes,
        args.out.join("evaluation.csv").display()
    );
    Ok(())
}

/// The regions to judge, `first` first where it is among them.
fn regions(asked: Option<Region>, dataset: &Dataset, first: Region) -> Vec<Region> {
    let held = dataset.manifest().config.region;
    let asked = asked.unwrap_or(Region::Both);
    let mut regions = vec![Region::Image, Region::Object];
    if first == Region::Object {
        regions.reverse();
    }
    regions.retain(|region| match region {
        Region::Image => held.images() && asked.images(),
        _ => held.objects() && asked.objects(),
    });
    regions
}

fn judge(
    model: &str,
    rows: &Rows,
    dataset: &Dataset,
    boxes: Option<&[BoxRow]>,
    settings: &Settings,
) -> Result<Outcome> {
    // Rows and brands were matched to the dataset, so none of these casts can change a number.
    let logo = boxes.map(|boxes| {
        |row: i64| {
            let BoxRow {
                boxes,
                width,
                height,
                ..
            } = boxes[row as usize];
            Logo {
                boxes,
                width,
                height,
            }
        }
    });
    let facts = Facts {
        image_of_row: &|row| dataset.image_of(row.cast_unsigned()),
        brand_name: &|brand| dataset.brands()[brand as usize].brand.clone(),
        category: &|brand| dataset.brands()[brand as usize].category.clone(),
        logo: logo.as_ref().map(|logo| logo as &dyn Fn(i64) -> Logo),
    };
    let colours = colours(&rows.test, dataset)?;
    let val_colours = rows
        .val
        .as_ref()
        .map(|val| self::colours(val, dataset))
        .transpose()?;
    let subject = Subject {
        name: model,
        test: &rows.test,
        val: rows.val.as_ref(),
    };
    let floor = Subject {
        name: COLOUR_HISTOGRAM,
        test: &colours,
        val: val_colours.as_ref(),
    };
    evaluate(subject, &[floor], &facts, settings)
        .map_err(|e| Failure::Usage(format!("{e:#}")).into())
}

/// Names suggested for one that is not known.
const SUGGESTED: usize = 3;

/// The brands of the map by their names, a line of CSV.
fn map_brands(names: &str, dataset: &Dataset, split: &Split) -> Result<Mapped, Failure> {
    let refused = |reason: String| Err(Failure::Usage(format!("--map-brands: {reason}")));
    let mut line = csv::ReaderBuilder::new();
    let mut line = line.has_headers(false).from_reader(names.as_bytes());
    let line = line.records().next().and_then(Result::ok);
    let names = line.unwrap_or_default();
    let test = dataset.fold(split, Fold::Test);
    let mut chosen = Vec::new();
    for name in &names {
        let Some(brand) = test.iter().find(|b| b.brand == name) else {
            let known = dataset.brands().iter().any(|b| b.brand == name);
            let what = match known {
                true => format!("is no test brand of split {:?}", split.info.name),
                false => "is not in the dataset".to_owned(),
            };
            let typed = name.to_lowercase();
            let far = |b: &str| strsim::damerau_levenshtein(&typed, &b.to_lowercase());
            let mut nearest: Vec<&str> = test.iter().map(|b| b.brand.as_str()).collect();
            nearest.sort_by_key(|b| (far(b), *b));
            nearest.truncate(SUGGESTED);
            return refused(format!(
                "brand {name:?} {what}; the nearest test brands are {nearest:?}"
            ));
        };
        if chosen.contains(&brand.index) {
            return refused(format!("brand {name:?} is named twice"));
        }
        chosen.push(brand.index);
    }
    match (MIN_BRANDS..=MAX_BRANDS).contains(&chosen.len()) {
        true => Ok(Mapped::Brands(chosen)),
        false => refused(format!(
            "a map shows {MIN_BRANDS} to {MAX_BRANDS} brands, not {}",
            chosen.len()
        )),
    }
}

/// Pictures gathered at a time.
const GATHER: usize = 256;

/// The colour histogram of each row of `set`.
fn colours(set: &EmbeddingSet, dataset: &Dataset) -> Result<EmbeddingSet> {
    let mut embeddings = Vec::new();
    let mut pixels = Vec::new();
    for rows in set.row.chunks(GATHER) {
        let rows: Vec<u64> = rows.iter().map(|row| row.cast_unsigned()).collect();
        pixels.resize(rows.len() * dataset.row_bytes(), 0);
        dataset.gather(&rows, &mut pixels)?;
        for picture in pixels.chunks(dataset.row_bytes()) {
            embeddings.extend(floors::colour_histogram(picture));
        }
    }
    Ok(EmbeddingSet {
        dim: embeddings.len() / set.len(),
        embeddings,
        brand: set.brand.clone(),
        row: set.row.clone(),
    })
}

/// Embeds the validation and the test brands with a run, region by region.
fn embed(
    run: &Path,
    args: &EvaluateArgs,
    dataset: &Dataset,
    split: &Split,
) -> Result<Vec<(Region, Rows)>> {
    let (net, runtime, trained_on) = open_network(run, args.checkpoint, dataset, split)?;
    let mut all = Vec::new();
    for region in regions(args.region, dataset, trained_on) {
        let has_rows = |fold: Fold| !dataset.rows(&dataset.fold(split, fold), region).is_empty();
        let embed = |fold: Fold| embed_fold(&net, &runtime, dataset, split, fold, region);
        if has_rows(Fold::Test) {
            let rows = Rows {
                test: embed(Fold::Test)?,
                val: has_rows(Fold::Val).then(|| embed(Fold::Val)).transpose()?,
                notices: vec![],
            };
            all.push((region, rows));
        }
    }
    Ok(all)
}

fn parse_region(name: &str) -> Result<Region, String> {
    [Region::Image, Region::Object, Region::Both]
        .into_iter()
        .find(|region| region_name(*region) == name)
        .ok_or_else(|| "must be image, object or both".to_owned())
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
