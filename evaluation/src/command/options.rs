//! What every evaluation is told, and what it does alike: opening the dataset, judging region by region, writing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use logodex_dataset::{Dataset, Split};
use logodex_program::output::print;
use logodex_schemas::dataset::{BoxRow, Region};

use crate::command::tsne_brands::tsne_brands;
use crate::embeddings::matching::Rows;
use crate::evaluate::Outcome;
use crate::facts::Facts;
use crate::settings::{Protocol, Settings, TsneBrands, region_name};
use crate::write::{Picture, write_outcome};

/// What is typed after `evaluate` and `floors` alike.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Dataset directory, as `logodex-data build` makes it.
    #[arg(long)]
    pub dataset: PathBuf,
    /// Name of a split, as `logodex-data split` draws it.
    #[arg(long)]
    pub split: String,
    /// Directory for evaluation.csv, evaluation.json, the episodes and what else was found.
    #[arg(long)]
    pub out: PathBuf,
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

/// `image`, `object` or `both`, as typed.
///
/// # Errors
/// Another word.
pub fn parse_region(name: &str) -> Result<Region, String> {
    [Region::Image, Region::Object, Region::Both]
        .into_iter()
        .find(|region| region_name(*region) == name)
        .ok_or_else(|| "must be image, object or both".to_owned())
}

/// What the options name, opened and checked.
pub(crate) struct Opened {
    pub(crate) dataset: Dataset,
    pub(crate) split: Split,
    boxes: Option<Vec<BoxRow>>,
    tsne: TsneBrands,
}

impl Options {
    /// Opens the dataset and the split and finds the brands of the t-SNE view.
    pub(crate) fn open(&self) -> Result<Opened> {
        let dataset = Dataset::open(&self.dataset)?;
        let split = dataset.split(&self.split)?;
        let tsne = match &self.map_brands {
            Some(names) => tsne_brands(names, &dataset, &split)?,
            None => TsneBrands::Drawn,
        };
        let boxes = dataset.boxes()?;
        Ok(Opened {
            dataset,
            split,
            boxes,
            tsne,
        })
    }

    /// Judges each region's rows with `judge` and puts what was found together. None without rows.
    pub(crate) fn judge(
        &self,
        opened: &Opened,
        rows: &[(Region, Rows)],
        judge: impl Fn(&Rows, &Facts, &Settings) -> Result<Outcome>,
    ) -> Result<Option<Outcome>> {
        let facts = Facts::of(&opened.dataset, opened.boxes.as_deref());
        let mut all: Option<Outcome> = None;
        // The t-SNE view is of the first region.
        let mut tsne = opened.tsne.clone();
        for (region, rows) in rows {
            let settings = Settings {
                seed: self.seed,
                protocols: self.protocols.clone(),
                region: *region,
                tsne: std::mem::replace(&mut tsne, TsneBrands::None),
                ..Settings::default()
            };
            let next = judge(rows, &facts, &settings)
                .with_context(|| format!("split {:?} cannot be evaluated", self.split))?;
            match &mut all {
                None => all = Some(next),
                Some(all) => all.append(next),
            }
        }
        Ok(all)
    }

    /// Says which dataset and split were judged, tells the notices and writes everything below `--out`.
    pub(crate) fn write(&self, opened: &Opened, outcome: &mut Outcome) -> Result<()> {
        let dataset = &opened.dataset;
        let evaluation = &mut outcome.evaluation;
        evaluation.manifest_blake3 = dataset.manifest_blake3().to_owned();
        evaluation.split = self.split.clone();
        evaluation.split_blake3 = opened.split.blake3().to_owned();
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
        write_outcome(&self.out, outcome, &picture)
    }

    /// The line below the tables: over what they are, and where all of it lies.
    pub(crate) fn print_footer(&self, outcome: &Outcome) {
        let evaluation = &outcome.evaluation;
        print(format_args!(
            "{} test brands, {} rows, {} episodes per number of shots; 95 % intervals by bootstrap over brands; {}\n",
            evaluation.test_brands,
            evaluation.test_rows,
            evaluation.episodes,
            self.out.join("evaluation.csv").display()
        ));
    }
}

/// The regions to judge, `first` first where it is among them.
pub fn regions(asked: Option<Region>, dataset: &Dataset, first: Region) -> Vec<Region> {
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
