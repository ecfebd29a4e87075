//! `logodex import` and `export`: many brands at once, from a dataset's rows, from Parquet and to it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use logodex_dataset::{BrandRow, Dataset, Fold, Region, Split, parse_csv, read_listed};
use logodex_inference::Model;
use logodex_inference::picture::look_of;
use logodex_pixels::Crop;
use logodex_program::output::print;
use logodex_program::progress::ImageProgress;
use logodex_program::usage;
use logodex_schemas::dataset::ImageRow;
use logodex_schemas::gallery::PictureSource;

use super::enrol::{answer, enrol, open_or_begin};
use super::opened::GalleryArgs;
use super::table::count;
use crate::gallery::enrol::NewPicture;
use crate::gallery::snapshot::Gallery;
use crate::parquet;

/// Rows that are read at once.
const TOGETHER: usize = 128;

/// Rows of a dataset.
#[derive(Debug, Clone, clap::Args)]
pub struct DatasetArgs {
    /// Dataset directory, as `logodex-data build` makes it.
    #[arg(long, requires = "split", value_name = "DIR")]
    pub dataset: Option<PathBuf>,
    /// Name of a split of the dataset.
    #[arg(long, requires = "dataset", value_name = "NAME")]
    pub split: Option<String>,
    /// Fold of the split: train, val or test.
    #[arg(long, requires = "dataset", value_parser = parse_fold)]
    pub fold: Option<Fold>,
    /// What the rows show: image, object or both [default: what the model was trained on].
    #[arg(long, requires = "dataset", value_parser = parse_region)]
    pub region: Option<Region>,
    /// Only brands of these names or keys (Category/name), separated by commas.
    #[arg(
        long,
        requires = "dataset",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub brands: Vec<String>,
    /// At most so many source images of each brand, its first ones.
    #[arg(long, requires = "dataset", value_name = "N")]
    pub per_brand: Option<usize>,
}

/// `train`, `val` or `test`, as typed.
fn parse_fold(name: &str) -> Result<Fold, String> {
    [Fold::Train, Fold::Val, Fold::Test]
        .into_iter()
        .find(|fold| fold.name() == name)
        .ok_or_else(|| "must be train, val or test".to_owned())
}

/// `image`, `object` or `both`, as typed.
fn parse_region(name: &str) -> Result<Region, String> {
    match name {
        "image" => Ok(Region::Image),
        "object" => Ok(Region::Object),
        "both" => Ok(Region::Both),
        _ => Err("must be image, object or both".to_owned()),
    }
}

/// Brands of a dataset, opened.
#[derive(Debug)]
pub struct OpenedRows {
    /// The dataset.
    pub dataset: Dataset,
    /// Its brands that are meant.
    pub brands: Vec<BrandRow>,
    region: Region,
    per_brand: Option<usize>,
    split: Split,
    fold: Fold,
}

impl DatasetArgs {
    /// Whether a dataset is typed.
    pub fn is_given(&self) -> bool {
        self.dataset.is_some()
    }

    /// Opens the dataset, holds its rows against what the model takes, and finds the brands; `fold` where none is typed.
    ///
    /// # Errors
    /// A dataset, split or brand that is not there; [`logodex_program::Failure::Usage`] for rows of another size than the model's.
    pub fn open(&self, model: &Model, fold: Fold) -> Result<OpenedRows> {
        let (Some(dir), Some(split)) = (&self.dataset, &self.split) else {
            return Err(usage("give --dataset DIR and --split NAME"));
        };
        let dataset = Dataset::open(dir)?;
        check_rows(&dataset, model)?;
        let split = dataset.split(split)?;
        let fold = self.fold.unwrap_or(fold);
        let all = dataset.fold(&split, fold);
        let mut brands = Vec::new();
        if self.brands.is_empty() {
            brands.extend(all.iter().map(|brand| (*brand).clone()));
        }
        for name in &self.brands {
            let named: Vec<&&BrandRow> = all
                .iter()
                .filter(|brand| brand.brand == *name || brand.key == *name)
                .collect();
            match named.as_slice() {
                [one] => brands.push((**one).clone()),
                [] => {
                    return Err(usage(format!(
                        "{}: split {:?} has no brand {name:?} in fold {}",
                        dir.display(),
                        split.info.name,
                        fold.name()
                    )));
                }
                _ => {
                    return Err(usage(format!(
                        "{}: several categories have a brand {name:?}; name it by its key, as {:?}",
                        dir.display(),
                        named[0].key
                    )));
                }
            }
        }
        let region = self.region.unwrap_or(model.metadata().preprocessing.region);
        Ok(OpenedRows {
            dataset,
            brands,
            region,
            per_brand: self.per_brand,
            split,
            fold,
        })
    }
}

/// Whether a dataset's rows were made as the model takes them.
fn check_rows(dataset: &Dataset, model: &Model) -> Result<()> {
    let (config, how) = (&dataset.manifest().config, &model.metadata().preprocessing);
    if config.side != how.side {
        return Err(usage(format!(
            "{}: its pictures are {} px, the model {:?} takes {} px; build the dataset with side = {}",
            dataset.dir().display(),
            config.side,
            model.metadata().run,
            how.side,
            how.side
        )));
    }
    if config.fit != how.fit || (config.region.objects() && config.context != how.context) {
        tracing::warn!(
            "{}: its rows were fitted otherwise (fit, context) than those that the model was trained on",
            dataset.dir().display()
        );
    }
    Ok(())
}

impl OpenedRows {
    /// The rows of some of the brands, in row order, as far as `--per-brand` lets them.
    pub fn rows_of(&self, brands: &[&BrandRow]) -> Vec<u64> {
        let mut rows = Vec::new();
        for brand in brands {
            let own = self.dataset.rows(&[brand], self.region);
            let (mut images, mut last) = (0, None);
            for row in own {
                let image = self.dataset.image_of(row);
                if last != Some(image) {
                    (images, last) = (images + 1, Some(image));
                }
                if self.per_brand.is_none_or(|most| images <= most) {
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// What they are, for a person.
    pub fn text(&self) -> String {
        format!(
            "{}, split {}, fold {}",
            self.dataset.dir().display(),
            self.split.info.name,
            self.fold.name()
        )
    }
}

/// Embeddings of rows in their order, `[N, D]`.
///
/// # Errors
/// A damaged dataset, or what the model reports.
pub fn embed_rows(model: &Model, dataset: &Dataset, rows: &[u64]) -> Result<Vec<f32>> {
    let mut progress = ImageProgress::start("embedding", rows.len() as u64, 0);
    let mut embeddings = Vec::with_capacity(rows.len() * model.dim());
    let mut pixels = Vec::new();
    for rows in rows.chunks(TOGETHER) {
        pixels.resize(rows.len() * dataset.row_bytes(), 0);
        dataset.gather(rows, &mut pixels)?;
        embeddings.extend(model.embed(&pixels)?);
        progress.advance(rows.len() as u64, None);
    }
    progress.finish();
    Ok(embeddings)
}

/// What is typed after `import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    gallery: GalleryArgs,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// A Parquet file that `logodex export` wrote, of a gallery of the same model.
    #[arg(
        long,
        value_name = "FILE.parquet",
        conflicts_with = "dataset",
        required_unless_present = "dataset"
    )]
    parquet: Option<PathBuf>,
    /// Enrol pictures that are enrolled already, too: the same file, or one that looks the same.
    #[arg(long)]
    duplicates: bool,
    /// Of a new gallery: store embeddings as 16-bit numbers, half the disk, searched where they lie.
    #[arg(long)]
    f16: bool,
    /// Answer with JSON, a line per brand.
    #[arg(long)]
    json: bool,
}

/// `logodex import`: all or nothing.
///
/// # Errors
/// As [`open_or_begin`], [`DatasetArgs::open`] and [`Gallery::enrol`].
pub fn import_command(args: &ImportArgs) -> Result<()> {
    let (gallery, model) = open_or_begin(&args.gallery, args.f16)?;
    let pictures = match &args.parquet {
        Some(path) => parquet::read(path, &gallery)?,
        None => of_dataset(&args.dataset.open(&model, Fold::Test)?, &model)?,
    };
    let enrolled = enrol(&args.gallery, (&gallery, &model), pictures, args.duplicates)?;
    let enrolled = enrolled.context("there are pictures")?;
    if !enrolled.duplicates.is_empty() {
        let files = enrolled.duplicates.iter().filter(|d| d.same_file).count();
        tracing::warn!(
            "{} left out that are enrolled already: {files} the same, {} that look the same; --duplicates enrols them",
            count(enrolled.duplicates.len(), "picture"),
            enrolled.duplicates.len() - files
        );
    }
    answer(&enrolled, &model, args.json)
}

/// The rows as pictures of their brands. A brand of a name that another category has, too, is named by its key.
fn of_dataset(opened: &OpenedRows, model: &Model) -> Result<Vec<NewPicture>> {
    let dataset = &opened.dataset;
    let rows = opened.rows_of(&opened.brands.iter().collect::<Vec<_>>());
    if rows.is_empty() {
        return Err(usage(format!("{}: no rows of that region", opened.text())));
    }
    let images: Vec<ImageRow> = {
        let bytes = read_listed(dataset.dir(), dataset.manifest(), "images.csv")?;
        parse_csv(&dataset.dir().join("images.csv"), &bytes)?
    };
    let path = std::path::absolute(dataset.dir())?;
    let path = path.to_str().context("the dataset's path is not UTF-8")?;
    let embeddings = embed_rows(model, dataset, &rows)?;
    let side = model.metadata().preprocessing.side;
    let name = |brand: &BrandRow| {
        let shared = dataset
            .brands()
            .iter()
            .filter(|other| other.brand == brand.brand)
            .count()
            > 1;
        if shared {
            brand.key.clone()
        } else {
            brand.brand.clone()
        }
    };
    rows.iter()
        .zip(embeddings.chunks_exact(model.dim()))
        .map(|(&row, embedding)| {
            let image = &images[dataset.image_of(row) as usize];
            Ok(NewPicture {
                brand: name(&dataset.brands()[dataset.brand_of(row) as usize]),
                source: PictureSource::Row {
                    dataset: path.to_owned(),
                    manifest_blake3: dataset.manifest_blake3().to_owned(),
                    row,
                },
                blake3: image.blake3.clone(),
                bbox: None,
                // Which part of the source a row shows its catalog knows; of the row all is shown.
                crop: Crop {
                    x: 0,
                    y: 0,
                    width: side,
                    height: side,
                },
                phash: look_of(&dataset.pixels(row)?, side),
                embedding: embedding.to_vec(),
            })
        })
        .collect()
}

/// What is typed after `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The gallery: a directory, or postgres://… for a database.
    #[arg(long, value_name = "GALLERY")]
    gallery: String,
    /// The Parquet file to write: a row per picture, with brand, source and embedding.
    #[arg(long, value_name = "FILE.parquet")]
    out: PathBuf,
}

/// `logodex export`.
///
/// # Errors
/// As [`Gallery::open`]; the file cannot be written.
pub fn export_command(args: &ExportArgs) -> Result<()> {
    let gallery = Gallery::open(&args.gallery)?;
    export(&gallery, &args.out)?;
    print(format_args!(
        "{}: {} of {}\n",
        args.out.display(),
        count(gallery.pictures().len(), "picture"),
        count(gallery.brands().len(), "brand")
    ));
    Ok(())
}

fn export(gallery: &Gallery, out: &Path) -> Result<()> {
    logodex_program::durable::write_whole(out, &parquet::written(gallery)?)
}
