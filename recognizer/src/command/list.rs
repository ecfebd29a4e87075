//! `logodex list`, `rename` and `remove`.

use anyhow::Result;
use logodex_program::output::print;
use logodex_program::usage;
use logodex_schemas::gallery::GalleryPicture;
use serde::Serialize;

use super::table::{count, table};
use crate::gallery::snapshot::Gallery;
use crate::gallery::snapshot::{short, source_text};

/// What is typed after `list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The gallery: a directory, or postgres://… for a database.
    #[arg(long, value_name = "GALLERY")]
    gallery: String,
    /// The pictures of this brand, instead of all brands.
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
    /// A JSON line per brand, or per picture.
    #[arg(long)]
    json: bool,
}

/// What is typed after `rename`.
#[derive(Debug, clap::Args)]
pub struct RenameArgs {
    /// The gallery: a directory, or postgres://… for a database.
    #[arg(long, value_name = "GALLERY")]
    gallery: String,
    /// The brand.
    from: String,
    /// Its new name.
    to: String,
    /// Where a brand has the new name already, give it the pictures: the two are one.
    #[arg(long)]
    merge: bool,
}

/// What is typed after `remove`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The gallery: a directory, or postgres://… for a database.
    #[arg(long, value_name = "GALLERY")]
    gallery: String,
    /// The brand.
    brand: String,
    /// Only its pictures of the file whose BLAKE3 begins so, as `list --brand` shows it.
    #[arg(long, value_name = "HASH")]
    picture: Option<String>,
}

#[derive(Serialize)]
struct BrandLine<'a> {
    brand: &'a str,
    pictures: usize,
    nearest: Option<&'a str>,
    nearest_similarity: Option<f32>,
}

/// `logodex list`.
///
/// # Errors
/// As [`Gallery::open`]; no such brand.
pub fn list_command(args: &ListArgs) -> Result<()> {
    let gallery = Gallery::open(&args.gallery)?;
    match &args.brand {
        Some(name) => list_pictures(&gallery, name, args.json),
        None => list_brands(&gallery, args.json),
    }
}

fn list_pictures(gallery: &Gallery, name: &str, json: bool) -> Result<()> {
    let Some(brand) = gallery.brand(name) else {
        return Err(usage(format!(
            "{}: no brand {name:?} is enrolled; `logodex list --gallery {}` lists its brands",
            gallery.store(),
            gallery.store()
        )));
    };
    let pictures: &[GalleryPicture] = &gallery.pictures()[brand.pictures.clone()];
    if json {
        for picture in pictures {
            print(format_args!("{}\n", serde_json::to_string(picture)?));
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = pictures
        .iter()
        .map(|picture| {
            let [x, y, width, height] = picture.crop;
            vec![
                short(&picture.blake3).to_owned(),
                format!("{width}×{height}+{x}+{y}"),
                source_text(&picture.source),
            ]
        })
        .collect();
    print(table(&["picture", "shown", "from"], &rows, &[]));
    Ok(())
}

fn list_brands(gallery: &Gallery, json: bool) -> Result<()> {
    let prototypes: Vec<Vec<f32>> = (0..gallery.brands().len())
        .map(|place| gallery.prototype(place))
        .collect();
    let queries: Vec<&[f32]> = prototypes.iter().map(Vec::as_slice).collect();
    let mut rows = Vec::new();
    for (brand, top) in gallery.brands().iter().zip(gallery.search(&queries, 2)) {
        let nearest = top
            .into_iter()
            .find(|candidate| candidate.brand != brand.name);
        if json {
            let line = BrandLine {
                brand: &brand.name,
                pictures: brand.pictures.len(),
                nearest: nearest.as_ref().map(|nearest| nearest.brand.as_str()),
                nearest_similarity: nearest.as_ref().map(|nearest| nearest.similarity),
            };
            print(format_args!("{}\n", serde_json::to_string(&line)?));
            continue;
        }
        let (other, similarity) = match nearest {
            Some(nearest) => (nearest.brand, format!("{:.3}", nearest.similarity)),
            None => ("–".to_owned(), "–".to_owned()),
        };
        rows.push(vec![
            brand.name.clone(),
            brand.pictures.len().to_string(),
            other,
            similarity,
        ]);
    }
    if !json {
        let header = ["brand", "pictures", "nearest other", "similarity"];
        print(table(&header, &rows, &[1, 3]));
        print(format_args!(
            "{}: {} of {}, embedded by run {:?} (fingerprint {}…)\n",
            gallery.store(),
            count(gallery.pictures().len(), "picture"),
            count(gallery.brands().len(), "brand"),
            gallery.model().run,
            short(&gallery.model().fingerprint)
        ));
    }
    Ok(())
}

/// `logodex rename`.
///
/// # Errors
/// As [`Gallery::rename`].
pub fn rename_command(args: &RenameArgs) -> Result<()> {
    let gallery = Gallery::open(&args.gallery)?.rename(&args.from, &args.to, args.merge)?;
    let pictures = gallery
        .brand(&args.to)
        .map_or(0, |brand| brand.pictures.len());
    print(format_args!(
        "{}: {}\n",
        args.to,
        count(pictures, "picture")
    ));
    Ok(())
}

/// `logodex remove`.
///
/// # Errors
/// As [`Gallery::remove`].
pub fn remove_command(args: &RemoveArgs) -> Result<()> {
    let gallery = Gallery::open(&args.gallery)?.remove(&args.brand, args.picture.as_deref())?;
    let left = gallery
        .brand(&args.brand)
        .map_or(0, |brand| brand.pictures.len());
    print(format_args!(
        "{}: {} left; {} of {}\n",
        args.brand,
        count(left, "picture"),
        count(gallery.pictures().len(), "picture"),
        count(gallery.brands().len(), "brand")
    ));
    Ok(())
}
