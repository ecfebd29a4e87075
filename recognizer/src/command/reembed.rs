//! `logodex reembed`: the gallery's pictures with another model, from where they were taken.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use logodex_dataset::Dataset;
use logodex_inference::Model;
use logodex_inference::picture::{look_of, square};
use logodex_program::output::{print, say};
use logodex_program::progress::ImageProgress;
use logodex_schemas::gallery::{GalleryPicture, PictureSource};

use super::opened::open_model;
use super::table::count;
use crate::gallery::contents::Edit;
use crate::gallery::enrol::NewPicture;
use crate::gallery::snapshot::Gallery;
use crate::gallery::snapshot::{known_as, short, source_text};

/// What is typed after `reembed`.
#[derive(Debug, clap::Args)]
pub struct ReembedArgs {
    /// The gallery: a directory, or postgres://… for a database.
    #[arg(long, value_name = "GALLERY")]
    gallery: String,
    /// The model that it shall have from now on.
    #[arg(long, value_name = "MODEL.onnx")]
    model: PathBuf,
    /// Let pictures go whose file is gone or is another now, instead of refusing.
    #[arg(long)]
    drop_missing: bool,
    /// Threads, 0 for one per core.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

/// `logodex reembed`: all or nothing. The calibration goes: it was of the other model.
///
/// # Errors
/// A gallery or model that cannot be used; pictures that cannot be found any more, unless they are let go; a gallery that was
/// changed meanwhile.
pub fn reembed_command(args: &ReembedArgs) -> Result<()> {
    let gallery = Gallery::open(&args.gallery)?;
    let model = open_model(&args.model, args.threads)?;
    let mut edits = vec![Edit::Begin {
        model: known_as(model.metadata()),
        numbers: gallery.numbers(),
    }];
    let mut datasets = HashMap::new();
    let mut missing = 0;
    let n = gallery.pictures().len() as u64;
    let mut progress = ImageProgress::start("embedding", n, 0);
    for pictures in gallery.pictures().chunks(64) {
        let mut pixels = Vec::new();
        let mut records = Vec::new();
        for picture in pictures {
            match again(&gallery, &model, &mut datasets, picture) {
                Ok((square, record)) => {
                    pixels.extend(square);
                    records.push(record);
                }
                Err(error) => {
                    missing += 1;
                    say(format_args!(
                        "{}, a picture of {:?}: {error:#}\n",
                        source_text(&picture.source),
                        picture.brand
                    ));
                }
            }
        }
        let embeddings = model.embed(&pixels)?;
        let embeddings = embeddings.chunks_exact(model.dim());
        edits.extend(
            records
                .into_iter()
                .zip(embeddings)
                .map(|(picture, embedding)| Edit::Add {
                    picture,
                    embedding: embedding.to_vec(),
                }),
        );
        progress.advance(pictures.len() as u64, None);
    }
    progress.finish();
    if missing > 0 && !args.drop_missing {
        bail!(
            "{}: {} cannot be embedded again, and the gallery is as it was; bring the files back, remove the pictures, or let them go with --drop-missing",
            gallery.store(),
            count(missing, "picture")
        );
    }
    let generation = gallery.generation();
    let store = gallery.store();
    // First the model, so that there is no moment without.
    let old = gallery.model().fingerprint.clone();
    store.add_model(&args.model, &model.metadata().fingerprint)?;
    let next = gallery.edit(|current| {
        ensure!(
            current.generation == generation,
            "{}: it was changed while its pictures were embedded again; it is as it was, begin anew",
            gallery.store()
        );
        Ok(edits)
    })?;
    store.keep_model(&args.model, &model.metadata().fingerprint)?;
    print(format_args!(
        "{}: {} of {} embedded again; fingerprint {}…, before {}…. Calibrate it again if it was\n",
        gallery.store(),
        count(next.pictures().len(), "picture"),
        count(next.brands().len(), "brand"),
        short(&next.model().fingerprint),
        short(&old)
    ));
    Ok(())
}

/// What the new model is to see of a picture, and its record then.
fn again(
    gallery: &Gallery,
    model: &Model,
    datasets: &mut HashMap<String, Dataset>,
    picture: &GalleryPicture,
) -> Result<(Vec<u8>, GalleryPicture)> {
    let how = &model.metadata().preprocessing;
    match &picture.source {
        PictureSource::File { path } => {
            let bytes = std::fs::read(gallery.store().picture(path))?;
            ensure!(
                blake3::hash(&bytes).to_hex().as_str() == picture.blake3,
                "it is another file than the one that was enrolled"
            );
            let square = square(&bytes, picture.bbox, how)?;
            let new = NewPicture::new(
                &picture.brand,
                picture.source.clone(),
                picture.bbox,
                &square,
                Vec::new(),
            );
            Ok((square.pixels, new.record()))
        }
        PictureSource::Row {
            dataset,
            manifest_blake3,
            row,
        } => {
            if !datasets.contains_key(dataset) {
                datasets.insert(dataset.clone(), Dataset::open(dataset.as_ref())?);
            }
            let opened = datasets.get(dataset).context("a dataset just opened")?;
            ensure!(
                opened.manifest_blake3() == manifest_blake3,
                "the dataset was built anew since it was enrolled; import it again"
            );
            let side = opened.manifest().config.side;
            if side != how.side {
                return Err(anyhow!(
                    "the dataset's pictures are {side} px, the model takes {} px; import from a dataset of that size",
                    how.side
                ));
            }
            let pixels = opened.pixels(*row)?.into_owned();
            let mut record = picture.clone();
            record.phash = format!("{:016x}", look_of(&pixels, side));
            Ok((pixels, record))
        }
    }
}
