//! `logodex calibrate`: how similar strangers come to this gallery, and from which similarity on a brand may be named.

use std::path::PathBuf;

use anyhow::Result;
use logodex_dataset::Fold;
use logodex_embeddings::similarity::product;
use logodex_inference::Model;
use logodex_program::output::print;
use logodex_program::usage;
use logodex_schemas::gallery::{GalleryCalibration, Strangers};

use super::inputs::{Failures, Inputs, embed, tell_failures};
use super::opened::GalleryArgs;
use super::table::{count, percent, table};
use super::transfer::{DatasetArgs, embed_rows};
use crate::gallery::contents::prototype;
use crate::gallery::snapshot::Gallery;
use crate::threshold::of_gallery;

/// What is typed after `calibrate`.
#[derive(Debug, clap::Args)]
pub struct CalibrateArgs {
    #[command(flatten)]
    gallery: GalleryArgs,
    /// Pictures of strangers: brands that are not enrolled. Files, folders or globs [default: every enrolled picture is a
    /// stranger to all brands but its own].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Forget the gallery's calibration: the model's holds then.
    #[arg(long, conflicts_with_all = ["files", "dataset"])]
    forget: bool,
}

/// The rates of the table.
const RATES: [f64; 4] = [0.1, 0.05, 0.01, 0.001];

/// `logodex calibrate`.
///
/// # Errors
/// As [`GalleryArgs::open`]; no strangers; pictures that could not be used, when the others were.
pub fn calibrate_command(args: &CalibrateArgs) -> Result<()> {
    if args.forget {
        Gallery::open(&args.gallery.gallery)?.calibrate(None)?;
        print("the model's calibration holds\n");
        return Ok(());
    }
    let (gallery, model) = args.gallery.open()?;
    if gallery.brands().len() < 2 {
        return Err(usage(format!(
            "{}: {} enrolled; strangers are told from two at least",
            gallery.store(),
            count(gallery.brands().len(), "brand")
        )));
    }
    let (calibration, failures) = match (args.files.is_empty(), args.dataset.is_given()) {
        (true, false) => (of_enrolled(&gallery), None),
        (true, true) => (of_dataset(&gallery, &model, &args.dataset)?, None),
        (false, false) => {
            let (calibration, failures) = of_pictures(&gallery, &model, &args.files)?;
            (calibration, Some(failures))
        }
        (false, true) => {
            return Err(usage("give pictures or --dataset, not both"));
        }
    };
    let gallery = gallery.calibrate(Some(calibration.clone()))?;
    print(report(&gallery, &calibration));
    failures.map_or(Ok(()), |failures| failures.end("used"))
}

/// The best similarities of strangers, sorted and cut.
fn calibration(
    strangers: Strangers,
    enrolled: usize,
    brands: Option<usize>,
    mut best: Vec<f32>,
) -> GalleryCalibration {
    let pictures = best.len() as u64;
    best.sort_unstable_by(|a, b| b.total_cmp(a));
    best.truncate(GalleryCalibration::TAIL);
    GalleryCalibration {
        strangers,
        enrolled: enrolled as u64,
        pictures,
        brands: brands.map(|n| n as u64),
        best,
    }
}

/// Every enrolled picture, compared with all brands but its own.
fn of_enrolled(gallery: &Gallery) -> GalleryCalibration {
    let brands = gallery.brands();
    let embeddings: Vec<Vec<f32>> = (0..gallery.pictures().len())
        .map(|place| gallery.embedding(place))
        .collect();
    let queries: Vec<&[f32]> = embeddings.iter().map(Vec::as_slice).collect();
    let found = gallery.search(&queries, 2);
    let best = found
        .iter()
        .zip(gallery.pictures())
        .filter_map(|(top, picture)| {
            let other = top
                .iter()
                .find(|candidate| candidate.brand != picture.brand);
            other.map(|other| other.similarity)
        });
    calibration(
        Strangers::Enrolled,
        brands.len() - 1,
        Some(brands.len()),
        best.collect(),
    )
}

fn of_pictures(
    gallery: &Gallery,
    model: &Model,
    files: &[PathBuf],
) -> Result<(GalleryCalibration, Failures)> {
    let inputs = Inputs {
        files: files.to_vec(),
        list: None,
    };
    let (seen, failures) = tell_failures(embed(model, inputs.find()?, false)?);
    let enrolled = crate::gallery::contents::by_file(gallery.pictures());
    let mut embeddings = Vec::new();
    for (input, embedded) in seen {
        let hash = embedded.square.blake3.to_hex();
        if let Some(places) = enrolled.get(hash.as_str()) {
            tracing::warn!(
                "{}: it is enrolled, as a picture of {:?}: no stranger, and left out",
                input.name,
                gallery.pictures()[places[0]].brand
            );
            continue;
        }
        embeddings.push(embedded.embedding);
    }
    let typed: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let from = Strangers::Pictures {
        from: typed.join(" "),
    };
    Ok((of_embeddings(gallery, from, None, &embeddings)?, failures))
}

fn of_dataset(gallery: &Gallery, model: &Model, args: &DatasetArgs) -> Result<GalleryCalibration> {
    let opened = args.open(model, Fold::Val)?;
    let enrolled: Vec<&str> = gallery
        .brands()
        .iter()
        .map(|brand| brand.name.as_str())
        .collect();
    let (known, strangers): (Vec<_>, Vec<_>) = opened
        .brands
        .iter()
        .partition(|brand| enrolled.binary_search(&brand.brand.as_str()).is_ok());
    if !known.is_empty() {
        tracing::warn!(
            "{} of that fold are enrolled by name ({:?}, …): no strangers, and left out",
            count(known.len(), "brand"),
            known[0].brand
        );
    }
    let rows = opened.rows_of(&strangers);
    let embeddings = embed_rows(model, &opened.dataset, &rows)?;
    let embeddings: Vec<Vec<f32>> = embeddings
        .chunks_exact(model.dim())
        .map(<[f32]>::to_vec)
        .collect();
    let from = Strangers::Pictures {
        from: opened.text(),
    };
    of_embeddings(gallery, from, Some(strangers.len()), &embeddings)
}

fn of_embeddings(
    gallery: &Gallery,
    from: Strangers,
    brands: Option<usize>,
    embeddings: &[Vec<f32>],
) -> Result<GalleryCalibration> {
    if embeddings.is_empty() {
        return Err(usage(
            "there is no picture of a stranger among what is given",
        ));
    }
    let queries: Vec<&[f32]> = embeddings.iter().map(Vec::as_slice).collect();
    let found = gallery.search(&queries, 1);
    let best = found.iter().filter_map(|top| Some(top.first()?.similarity));
    Ok(calibration(
        from,
        gallery.brands().len(),
        brands,
        best.collect(),
    ))
}

/// The thresholds for usual rates, and how many of the enrolled pictures are named rightly from each on, of those whose brand
/// has another picture: by that, without themselves.
fn report(gallery: &Gallery, calibration: &GalleryCalibration) -> String {
    let enrolled = gallery.brands().len() as u64;
    let own = own_similarities(gallery);
    let mut rows = Vec::new();
    for target in RATES {
        let threshold = of_gallery(calibration, enrolled, target);
        let named = own
            .iter()
            .filter(|(own, other)| own > other && threshold.accepts(*own))
            .count();
        rows.push(vec![
            percent(target),
            format!("{:.4}", threshold.similarity),
            format!(
                "{}{}",
                if threshold.caution.is_some() {
                    "at most "
                } else {
                    ""
                },
                percent(threshold.rate.unwrap_or(1.0))
            ),
            match own.len() {
                0 => "–".to_owned(),
                n => format!("{} of {n}", named),
            },
        ]);
    }
    let header = [
        "strangers named",
        "threshold",
        "stands for",
        "enrolled pictures named rightly",
    ];
    let strangers = match calibration.brands {
        Some(brands) => format!(" of {}", count(brands as usize, "brand")),
        None => String::new(),
    };
    format!(
        "{}{} of strangers{strangers}, each compared with {}; pictures of one brand are alike, so that few brands tell less than their pictures' number\n",
        table(&header, &rows, &[0, 1, 2, 3]),
        count(calibration.pictures as usize, "picture"),
        count(calibration.enrolled as usize, "brand"),
    )
}

/// Of every picture whose brand has another: the similarity to its brand without it, and the best to another brand.
fn own_similarities(gallery: &Gallery) -> Vec<(f32, f32)> {
    let mut all = Vec::new();
    for brand in gallery
        .brands()
        .iter()
        .filter(|brand| brand.pictures.len() > 1)
    {
        let embeddings: Vec<Vec<f32>> = brand
            .pictures
            .clone()
            .map(|place| gallery.embedding(place))
            .collect();
        let queries: Vec<&[f32]> = embeddings.iter().map(Vec::as_slice).collect();
        for (at, top) in gallery.search(&queries, 2).iter().enumerate() {
            let others: Vec<&[f32]> = (0..queries.len())
                .filter(|other| *other != at)
                .map(|other| queries[other])
                .collect();
            let own = product(
                &prototype(queries[at].len(), others.into_iter()),
                queries[at],
            );
            let other = top.iter().find(|candidate| candidate.brand != brand.name);
            all.push((
                own,
                other.map_or(f32::NEG_INFINITY, |other| other.similarity),
            ));
        }
    }
    all
}
