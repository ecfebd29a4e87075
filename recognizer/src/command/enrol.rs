//! `logodex enrol`: pictures of a brand into the gallery, and how well it stands among the others then.

use std::fmt::Write;

use anyhow::{Context, Result};
use logodex_inference::Model;
use logodex_program::output::{print, say};
use logodex_program::usage;
use logodex_schemas::gallery::Numbers;
use serde::Serialize;

use super::inputs::{Inputs, embed, tell_failures};
use super::opened::{GalleryArgs, open_model};
use super::table::count;
use crate::gallery::enrol::{Enrolled, NewPicture, Standing};
use crate::gallery::snapshot::Gallery;

/// What is typed after `enrol`.
#[derive(Debug, clap::Args)]
pub struct EnrolArgs {
    #[command(flatten)]
    gallery: GalleryArgs,
    /// The brand that the pictures show, those excepted of which a list says it.
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
    #[command(flatten)]
    inputs: Inputs,
    /// Enrol pictures that are enrolled already, too: the same file, or one that looks the same.
    #[arg(long)]
    duplicates: bool,
    /// Keep a copy of each picture in the gallery, so that it can be embedded again when the file is gone.
    #[arg(long)]
    keep: bool,
    /// Of a new gallery: store embeddings as 16-bit numbers, half the disk, searched where they lie.
    #[arg(long)]
    f16: bool,
    /// Answer with JSON, a line per brand.
    #[arg(long)]
    json: bool,
}

/// Opens the gallery with its model, or begins it with the model typed.
///
/// # Errors
/// As [`GalleryArgs::open`]; a new gallery for which no model is typed.
pub fn open_or_begin(args: &GalleryArgs, f16: bool) -> Result<(Gallery, Model)> {
    let numbers = match f16 {
        true => Numbers::F16,
        false => Numbers::F32,
    };
    let Some(path) = &args.model else {
        return args.open();
    };
    let model = open_model(path, args.threads)?;
    let gallery = Gallery::open_or_begin(&args.gallery, model.metadata(), numbers)?;
    if f16 && gallery.numbers() != numbers {
        tracing::warn!(
            "{}: it stores 32-bit numbers, and goes on so; --f16 is for a new gallery",
            gallery.store()
        );
    }
    Ok((gallery, model))
}

/// Enrols pictures, if there are any, and keeps the model that was typed, so that from then on none need be.
///
/// # Errors
/// As [`Gallery::enrol`].
pub fn enrol(
    args: &GalleryArgs,
    (gallery, model): (&Gallery, &Model),
    pictures: Vec<NewPicture>,
    duplicates: bool,
) -> Result<Option<Enrolled>> {
    if pictures.is_empty() {
        return Ok(None);
    }
    if let Some(path) = &args.model {
        let fingerprint = &model.metadata().fingerprint;
        gallery.store().keep_model(path, fingerprint)?;
    }
    gallery.enrol(pictures, duplicates).map(Some)
}

/// `logodex enrol`.
///
/// # Errors
/// As [`open_or_begin`] and [`Gallery::enrol`]; pictures that could not be enrolled, when the others were.
pub fn enrol_command(args: EnrolArgs) -> Result<()> {
    let inputs = args.inputs.find()?;
    let unnamed = inputs.iter().find(|(input, _)| input.brand.is_none());
    if let (None, Some((input, _))) = (&args.brand, unnamed) {
        return Err(usage(format!(
            "{}: which brand does it show? give --brand NAME, or a list with a column `brand`",
            input.name
        )));
    }
    if let Some(brand) = &args.brand {
        crate::gallery::snapshot::check_name(brand)?;
    }
    let (gallery, model) = open_or_begin(&args.gallery, args.f16)?;
    let taken = embed(&model, inputs, false)?;
    let taken = taken
        .into_iter()
        .map(|(mut input, embedded)| {
            let picture = embedded.and_then(|embedded| {
                if args.keep {
                    let bytes = std::fs::read(&input.path)?;
                    input.path = gallery.store().keep_picture(&bytes)?;
                }
                let brand = input.brand.as_deref().or(args.brand.as_deref());
                input.enrolled(brand.context("no brand")?, embedded, args.keep)
            });
            (input, picture)
        })
        .collect();
    let (good, mut failures) = tell_failures(taken);
    let (named, pictures): (Vec<_>, Vec<NewPicture>) = good.into_iter().unzip();
    let enrolled = enrol(&args.gallery, (&gallery, &model), pictures, args.duplicates)?;
    let Some(enrolled) = enrolled else {
        return failures.end("enrolled");
    };
    for duplicate in &enrolled.duplicates {
        failures.failed += 1;
        let of = &duplicate.of;
        let how = match duplicate.same_file {
            true => "is enrolled already",
            false => "looks the same as one enrolled",
        };
        say(format_args!(
            "{}: it {how}, as a picture of {:?} ({}); --duplicates enrols it all the same\n",
            named[duplicate.place].name,
            of.brand,
            crate::gallery::snapshot::source_text(&of.source)
        ));
    }
    answer(&enrolled, &model, args.json)?;
    failures.end("enrolled")
}

#[derive(Serialize)]
struct Line<'a> {
    brand: &'a str,
    pictures: usize,
    nearest: Option<&'a str>,
    nearest_similarity: Option<f32>,
    margin: Option<f32>,
    collision: bool,
}

/// Says how the brands stand that got pictures.
///
/// # Errors
/// A value that cannot be written as JSON.
pub fn answer(enrolled: &Enrolled, model: &Model, json: bool) -> Result<()> {
    let gallery = &enrolled.gallery;
    // Where nothing is calibrated, the margin alone can warn.
    let threshold = gallery.threshold(model.metadata(), 0.01).ok();
    let threshold = threshold.map(|threshold| threshold.similarity);
    let mut text = String::new();
    for standing in &enrolled.standings {
        let collision = standing.collides(threshold);
        if json {
            let line = Line {
                brand: &standing.brand,
                pictures: standing.pictures,
                nearest: standing
                    .nearest
                    .as_ref()
                    .map(|nearest| nearest.brand.as_str()),
                nearest_similarity: standing.nearest.as_ref().map(|nearest| nearest.similarity),
                margin: standing.margin,
                collision,
            };
            text += &serde_json::to_string(&line)?;
            text.push('\n');
        } else {
            text += &sentence(standing);
        }
        if collision {
            warn(standing);
        }
    }
    if !json {
        let _ = writeln!(
            text,
            "{}: {} added; {} of {}",
            gallery.store(),
            count(enrolled.added, "picture"),
            count(gallery.pictures().len(), "picture"),
            count(gallery.brands().len(), "brand")
        );
    }
    print(text);
    Ok(())
}

fn sentence(standing: &Standing) -> String {
    let pictures = count(standing.pictures, "picture");
    match (&standing.nearest, standing.margin) {
        (Some(nearest), Some(margin)) => format!(
            "{}: {pictures}; nearest other brand {} at {:.3}, margin {margin:.3}\n",
            standing.brand, nearest.brand, nearest.similarity
        ),
        _ => format!("{}: {pictures}; no other brand yet\n", standing.brand),
    }
}

fn warn(standing: &Standing) {
    let Some(nearest) = &standing.nearest else {
        return;
    };
    let why = match standing.margin {
        Some(margin) if margin <= 0.0 => {
            "one of its pictures is nearer to another brand than to its own".to_owned()
        }
        _ => format!(
            "the two are as similar ({:.3}) as a picture and its brand have to be",
            nearest.similarity
        ),
    };
    tracing::warn!(
        "{:?} may be taken for {:?}: {why}. Are they one brand (logodex rename --merge), or does a picture show something else (logodex remove --picture)?",
        standing.brand,
        nearest.brand
    );
}
