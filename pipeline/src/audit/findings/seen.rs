//! What an exported model sees in a tree: pictures that look like another brand than their folder's, brands that look like one,
//! pictures that look like nothing.
//!
//! The rows are the kept pictures, or their objects where the model is one of objects, cut and resized as a build would. The
//! model's training has met these brands or not: either way it is asked what looks alike, never what a brand is called.

mod neighbours;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use logodex_inference::{Model, picture};
use logodex_program::progress::StageProgress;
use logodex_schemas::plan::audit::{Finding, FindingKind, PicturePair};
use rayon::prelude::*;

use self::neighbours::{Alike, Doubt, Rows, VOTERS, far};
use crate::audit::finding::{Tree, finding};
use crate::audit::gallery::{Gallery, SHOWN};
use crate::plan::placement::Fate;

/// Pictures that are decoded together: their squares are held in memory.
const TOGETHER: usize = 256;

/// What a model saw, row by row.
pub struct Seen {
    rows: Rows,
    /// The sample and, of a row that is one object, its box among [`Tree::boxes`].
    shown: Vec<(usize, Option<usize>)>,
    doubts: Vec<Doubt>,
    alike: Vec<Alike>,
}

/// Looks at every picture that is kept. `min_px` is the shorter side of the smallest object that makes a row.
///
/// Holds 4 bytes for each number of each embedding: 158,654 rows of 512 take 325 MB.
///
/// # Errors
/// What ONNX Runtime reports. A picture that can no longer be read makes no row and a warning.
pub fn look(tree: &Tree<'_>, model: &Model, min_px: u32) -> Result<Seen> {
    let how = &model.metadata().preprocessing;
    let kept = tree.placement.fates.iter().enumerate();
    let kept: Vec<(usize, u32)> = kept
        .filter_map(|(i, fate)| match fate {
            Fate::Kept(brand, _) => Some((i, *brand)),
            _ => None,
        })
        .collect();
    let mut rows = Rows {
        dim: model.dim(),
        ..Rows::default()
    };
    let mut shown = Vec::new();
    let progress = StageProgress::new("embed");
    for (step, part) in kept.chunks(TOGETHER).enumerate() {
        let squares = |&(i, brand): &(usize, u32)| {
            let boxes: Vec<(Option<usize>, Option<[u32; 4]>)> = match how.region.objects() {
                false => vec![(None, None)],
                true => {
                    let boxes = tree.boxes(i).into_iter().enumerate();
                    let large = |b: &[u32; 4]| (b[2] - b[0]).min(b[3] - b[1]) >= min_px;
                    boxes
                        .filter(|(_, b)| large(b))
                        .map(|(n, b)| (Some(n), Some(b)))
                        .collect()
                }
            };
            let path = tree.scan.root.join(&tree.scan.samples[i].image);
            let cut: Vec<_> = boxes.iter().map(|(_, bbox)| *bbox).collect();
            let bytes = std::fs::read(&path).map_err(anyhow::Error::from);
            match bytes.and_then(|bytes| Ok(picture::squares(&bytes, &cut, how)?)) {
                Ok(squares) => (boxes.into_iter().map(|(n, _)| n))
                    .zip(squares)
                    .map(|(n, square)| (i, brand, n, square.pixels))
                    .collect(),
                Err(error) => {
                    tracing::warn!("{}: not seen: {error:#}", path.display());
                    Vec::new()
                }
            }
        };
        let found: Vec<(usize, u32, Option<usize>, Vec<u8>)> =
            part.par_iter().flat_map_iter(squares).collect();
        let mut pixels = Vec::with_capacity(found.len() * model.square_bytes());
        for (i, brand, object, square) in found {
            pixels.extend_from_slice(&square);
            rows.brands.push(brand);
            rows.pictures.push(i as u32);
            shown.push((i, object));
        }
        rows.vectors.extend(model.embed(&pixels)?);
        let done = (step * TOGETHER + part.len()) as u64;
        progress.set(done, kept.len() as u64);
    }
    drop(progress);
    let progress = StageProgress::new("compare");
    Ok(Seen {
        doubts: rows.doubts(&|done, total| progress.set(done, total)),
        alike: rows.alike_brands(),
        rows,
        shown,
    })
}

impl Seen {
    /// Every row, the most doubtful label first, as CSV: what `audit.html` shows the first of.
    ///
    /// # Errors
    /// None but a mistake of ours.
    pub fn table(&self, tree: &Tree<'_>) -> Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record([
            "image",
            "xmin",
            "ymin",
            "xmax",
            "ymax",
            "brand",
            "looks_like",
            "score",
            "own_similarity",
            "other_similarity",
            "neighbours_against",
            "neighbours",
            "nearest_similarity",
        ])?;
        let number = |x: Option<f32>| {
            x.filter(|x| x.is_finite())
                .map_or(String::new(), |x| format!("{x:.6}"))
        };
        for doubt in &self.doubts {
            let (i, object) = self.shown[doubt.row];
            let bbox = object.map(|n| tree.boxes(i)[n].map(|x| x.to_string()));
            let [x0, y0, x1, y1] = bbox.unwrap_or_default();
            table.write_record([
                tree.scan.samples[i].image.clone(),
                x0,
                y0,
                x1,
                y1,
                self.brand(tree, self.rows.brands[doubt.row]),
                self.brand(tree, doubt.other_brand),
                number(doubt.score()),
                number(doubt.own),
                number(Some(doubt.other)),
                doubt.against.to_string(),
                doubt.voters.to_string(),
                number(Some(doubt.nearest)),
            ])?;
        }
        table
            .into_inner()
            .context("the table does not fit in memory")
    }

    /// A finding for every folder and the other brand that pictures of it look like, for every two brands that look like one, and
    /// for every folder with pictures that look like nothing.
    pub fn findings(&self, tree: &Tree<'_>, gallery: &mut Gallery<'_>) -> Vec<Finding> {
        let mut found = self.suspects(tree, gallery);
        found.extend(
            self.alike
                .iter()
                .map(|pair| self.alike(tree, pair, gallery)),
        );
        found.extend(self.far(tree, gallery));
        found
    }

    fn suspects(&self, tree: &Tree<'_>, gallery: &mut Gallery<'_>) -> Vec<Finding> {
        let mut groups: BTreeMap<(&str, &str, u32), Vec<&Doubt>> = BTreeMap::new();
        for doubt in self.doubts.iter().filter(|doubt| doubt.is_suspect()) {
            let sample = &tree.scan.samples[self.shown[doubt.row].0];
            let key = (
                sample.category.as_str(),
                sample.folder.as_str(),
                doubt.other_brand,
            );
            groups.entry(key).or_default().push(doubt);
        }
        let of_group = |((category, folder, other), doubts): ((&str, &str, u32), Vec<&Doubt>)| {
            // Of several objects in a picture the first is the most doubtful.
            let mut seen = BTreeSet::new();
            let firsts: Vec<(usize, usize)> = doubts
                .iter()
                .map(|doubt| (self.shown[doubt.row].0, self.shown[doubt.like].0))
                .filter(|(i, _)| seen.insert(*i))
                .collect();
            let images = firsts
                .iter()
                .map(|(i, _)| tree.scan.samples[*i].image.clone());
            let own = tree.brand_name(category, folder);
            let mut found = finding(FindingKind::LooksLikeAnother, own, images.collect());
            let other = self.brand(tree, other);
            let n = firsts.len();
            found.says = match n {
                1 => format!(
                    "A picture of the folder “{folder}” looks like “{other}”: most of its {VOTERS} nearest are of other brands."
                ),
                _ => format!(
                    "{n} pictures of the folder “{folder}” look like “{other}”: most of their {VOTERS} nearest are of other brands."
                ),
            };
            found.otherwise = format!("They are kept as “{own}”.");
            found.other = Some(other);
            found.weight = n as u64;
            found.pairs_total = n as u64;
            let shown = firsts.iter().take(SHOWN);
            found.pairs = shown.map(|&(a, b)| beside(gallery, a, b)).collect();
            found
        };
        groups.into_iter().map(of_group).collect()
    }

    fn alike(&self, tree: &Tree<'_>, pair: &Alike, gallery: &mut Gallery<'_>) -> Finding {
        let (a, b) = (self.brand(tree, pair.a), self.brand(tree, pair.b));
        let name = tree.placement.brands[pair.a as usize].name.clone();
        let mut found = finding(FindingKind::AlikeBrands, &name, vec![a.clone(), b.clone()]);
        found.says = format!(
            "“{a}” and “{b}” look like one brand: their mean embeddings are as alike as those of two halves of a brand (cosine {:.2}).",
            pair.similarity
        );
        found.otherwise =
            "Two brands, and a split may train on one and test on the other.".to_owned();
        let pictures = |brand: u32| {
            let rows = self.rows.brands.iter().enumerate();
            let rows = rows.filter(move |(_, b)| **b == brand);
            let mut pictures: Vec<usize> = rows.map(|(row, _)| self.shown[row].0).collect();
            pictures.dedup();
            pictures
        };
        let (of_a, of_b) = (pictures(pair.a), pictures(pair.b));
        found.weight = of_a.len().min(of_b.len()) as u64;
        found.other = Some(b);
        let shown = of_a.into_iter().zip(of_b).take(SHOWN / 2);
        found.pairs = shown.map(|(a, b)| beside(gallery, a, b)).collect();
        found
    }

    fn far(&self, tree: &Tree<'_>, gallery: &mut Gallery<'_>) -> Vec<Finding> {
        let mut folders: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for doubt in far(&self.doubts) {
            let i = self.shown[doubt.row].0;
            let sample = &tree.scan.samples[i];
            let pictures = folders
                .entry((&sample.category, &sample.folder))
                .or_default();
            if !pictures.contains(&i) {
                pictures.push(i);
            }
        }
        let of_folder = |((category, folder), pictures): ((&str, &str), Vec<usize>)| {
            let images = pictures.iter().map(|&i| tree.scan.samples[i].image.clone());
            let brand = tree.brand_name(category, folder);
            let mut found = finding(FindingKind::FarPicture, brand, images.collect());
            found.says = match pictures.len() {
                1 => "A picture looks like no other of the tree.".to_owned(),
                n => format!("{n} pictures look like no other of the tree."),
            };
            found.otherwise = "They are kept.".to_owned();
            found.weight = pictures.len() as u64;
            gallery.show(&mut found, &pictures);
            found
        };
        folders.into_iter().map(of_folder).collect()
    }

    /// `<Category>/<brand>`.
    fn brand(&self, tree: &Tree<'_>, index: u32) -> String {
        let brand = &tree.placement.brands[index as usize];
        format!("{}/{}", brand.category, brand.name)
    }
}

fn beside(gallery: &mut Gallery<'_>, a: usize, b: usize) -> PicturePair {
    PicturePair {
        a: gallery.place(a),
        b: gallery.place(b),
        same: None,
        because: None,
        distance: None,
        differ: false,
    }
}
