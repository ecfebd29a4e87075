//! `logodex calibrate`: how similar strangers come to this gallery, and from which similarity on a brand may be named.

use std::path::PathBuf;

use anyhow::Result;
use logodex_dataset::Fold;
use logodex_embeddings::similarity::product;
use logodex_inference::Model;
use logodex_program::output::print;
use logodex_program::progress::ImageProgress;
use logodex_program::usage;
use logodex_schemas::gallery::{GalleryCalibration, SceneCalibration, Strangers};

use super::inputs::{Failures, Input, Inputs, embed, tell_failures};
use super::opened::GalleryArgs;
use super::table::{count, percent, table};
use super::transfer::{DatasetArgs, embed_rows};
use crate::gallery::contents::{Edit, by_file, prototype};
use crate::gallery::snapshot::Gallery;
use crate::scenes::command::TilingArgs;
use crate::scenes::look::best_of_windows;
use crate::scenes::threshold::SceneThresholds;
use crate::threshold::{Threshold, of_gallery};

/// What is typed after `calibrate`.
#[derive(Debug, clap::Args)]
pub struct CalibrateArgs {
    #[command(flatten)]
    gallery: GalleryArgs,
    /// Pictures of strangers: brands that are not enrolled; with --tiles, whole scenes that show no enrolled brand. Files,
    /// folders or globs [default: every enrolled picture is a stranger to all brands but its own].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    tiling: TilingArgs,
    /// Forget what the gallery was calibrated with, scenes included: the model's calibration holds then.
    #[arg(long, conflicts_with_all = ["files", "dataset", "tiles"])]
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
        let none = vec![Edit::Calibrate(None), Edit::CalibrateScenes(None)];
        Gallery::open(&args.gallery.gallery)?.edit(|_| Ok(none))?;
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
    if args.tiling.tiles {
        return calibrate_scenes(args, &gallery, &model);
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
    let gallery = gallery.edit(|_| Ok(vec![Edit::Calibrate(Some(calibration.clone()))]))?;
    let enrolled = gallery.brands().len() as u64;
    let thresholds = RATES.map(|target| (target, of_gallery(&calibration, enrolled, target)));
    let strangers = match calibration.brands {
        Some(brands) => format!(" of {}", count(brands as usize, "brand")),
        None => String::new(),
    };
    print(format_args!(
        "{}{} of strangers{strangers}, each compared with {}; pictures of one brand are alike, so that few brands tell less than their pictures' number\n",
        report(&gallery, "strangers named", &thresholds),
        count(calibration.pictures as usize, "picture"),
        count(calibration.enrolled as usize, "brand"),
    ));
    failures.map_or(Ok(()), |failures| failures.end("used"))
}

/// By scenes, each of which counts by the best of its windows.
fn calibrate_scenes(args: &CalibrateArgs, gallery: &Gallery, model: &Model) -> Result<()> {
    if args.files.is_empty() || args.dataset.is_given() {
        return Err(usage(
            "--tiles: give pictures of whole scenes that show no enrolled brand: files, folders or globs",
        ));
    }
    let tiling = args.tiling.tiling()?;
    let inputs = Inputs {
        files: args.files.clone(),
        list: None,
    }
    .find()?;
    let enrolled = by_file(gallery.pictures());
    let mut progress = ImageProgress::start("looking", inputs.len() as u64, 0);
    let mut taken = Vec::with_capacity(inputs.len());
    for (input, found) in inputs {
        let seen = found.and_then(|()| {
            let bytes = std::fs::read(&input.path)?;
            let hash = blake3::hash(&bytes).to_hex();
            if let Some(places) = enrolled.get(hash.as_str()) {
                warn_enrolled(&input, gallery, places[0]);
                return Ok(None);
            }
            best_of_windows(&bytes, &tiling, model, gallery).map(Some)
        });
        progress.advance(1, None);
        taken.push((input, seen));
    }
    progress.finish();
    let (seen, failures) = tell_failures(taken);
    let seen: Vec<(Option<f32>, usize)> = seen.into_iter().filter_map(|(_, seen)| seen).collect();
    if seen.is_empty() {
        return Err(usage(
            "there is no scene without an enrolled brand among what is given",
        ));
    }
    let windows: usize = seen.iter().map(|(_, windows)| windows).sum();
    let from = typed(&args.files);
    let best = seen.iter().filter_map(|(best, _)| *best).collect();
    let found = SceneCalibration {
        tiling: tiling.clone(),
        windows: (windows as f64 / seen.len() as f64).round() as u64,
        scenes: calibration(from, gallery.brands().len(), None, best),
    };
    let gallery = gallery.edit(|_| Ok(vec![Edit::CalibrateScenes(Some(found.clone()))]))?;
    let mut thresholds = Vec::new();
    for target in RATES {
        let of_scenes =
            SceneThresholds::calibrated(&gallery, model.metadata(), target, Some(&tiling))?;
        thresholds.push((target, of_scenes.over(found.windows as usize)));
    }
    print(format_args!(
        "{}{} without enrolled brands, each compared with {} through {} windows on average; for `identify --tiles`\n",
        report(&gallery, "scenes named", &thresholds),
        count(seen.len(), "scene"),
        count(found.scenes.enrolled as usize, "brand"),
        found.windows,
    ));
    failures.end("looked at")
}

/// The pictures as they were typed.
fn typed(files: &[PathBuf]) -> Strangers {
    let typed: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    Strangers::Pictures {
        from: typed.join(" "),
    }
}

fn warn_enrolled(input: &Input, gallery: &Gallery, place: usize) {
    tracing::warn!(
        "{}: it is enrolled, as a picture of {:?}: no stranger, and left out",
        input.name,
        gallery.pictures()[place].brand
    );
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
    let enrolled = by_file(gallery.pictures());
    let mut embeddings = Vec::new();
    for (input, embedded) in seen {
        let hash = embedded.square.blake3.to_hex();
        if let Some(places) = enrolled.get(hash.as_str()) {
            warn_enrolled(&input, gallery, places[0]);
            continue;
        }
        embeddings.push(embedded.embedding);
    }
    let calibration = of_embeddings(gallery, typed(files), None, &embeddings)?;
    Ok((calibration, failures))
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
fn report(gallery: &Gallery, rate: &str, thresholds: &[(f64, Threshold)]) -> String {
    let own = own_similarities(gallery);
    let mut rows = Vec::new();
    for (target, threshold) in thresholds {
        let named = own
            .iter()
            .filter(|(own, other)| own > other && threshold.accepts(*own))
            .count();
        rows.push(vec![
            percent(*target),
            format!("{:.4}", threshold.similarity),
            percent(threshold.rate.unwrap_or(1.0)),
            threshold.interval.map_or_else(
                || "–".to_owned(),
                |[low, high]| format!("{} to {}", percent(low), percent(high)),
            ),
            match own.len() {
                0 => "–".to_owned(),
                n => format!("{named} of {n}"),
            },
        ]);
    }
    let header = [
        rate,
        "threshold",
        "stands for",
        "in 95 % of draws",
        "enrolled pictures named rightly",
    ];
    table(&header, &rows, &[0, 1, 2, 3, 4])
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
