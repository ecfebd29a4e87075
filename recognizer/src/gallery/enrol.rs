//! Enrolling pictures of a brand: what is refused, and how well the brand stands among the others then.

use anyhow::Result;
use logodex_embeddings::similarity::product;
use logodex_inference::picture::Square;
use logodex_pixels::Crop;
use logodex_schemas::gallery::{Candidate, GalleryPicture, PictureSource};

use super::contents::{Contents, Edit, by_file, prototype};
use super::snapshot::{Gallery, check_name};

/// Bits in which the hashes of pictures that look the same differ at most.
pub const SAME_LOOK_BITS: u32 = 3;

/// A picture that is to be enrolled.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPicture {
    /// Its brand.
    pub brand: String,
    /// Where it was taken from.
    pub source: PictureSource,
    /// BLAKE3 of the image file's bytes, hexadecimal.
    pub blake3: String,
    /// The logo's box as given, `[x0, y0, x1, y1)`.
    pub bbox: Option<[u32; 4]>,
    /// What was shown to the model.
    pub crop: Crop,
    /// Perceptual hash of the whole picture; of a dataset's row, of what it shows.
    pub phash: u64,
    /// Its embedding, of length one, `[D]`.
    pub embedding: Vec<f32>,
}

impl NewPicture {
    /// From a square and its embedding.
    pub fn new(
        brand: &str,
        source: PictureSource,
        bbox: Option<[u32; 4]>,
        square: &Square,
        embedding: Vec<f32>,
    ) -> Self {
        Self {
            brand: brand.to_owned(),
            source,
            blake3: square.blake3.to_hex().to_string(),
            bbox,
            crop: square.crop,
            phash: square.phash,
            embedding,
        }
    }

    /// As the gallery notes it.
    pub fn record(&self) -> GalleryPicture {
        let Crop {
            x,
            y,
            width,
            height,
        } = self.crop;
        GalleryPicture {
            brand: self.brand.clone(),
            source: self.source.clone(),
            blake3: self.blake3.clone(),
            bbox: self.bbox,
            crop: [x, y, width, height],
            phash: format!("{:016x}", self.phash),
        }
    }
}

/// A picture that was not enrolled, because it is enrolled already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Its place among the pictures given.
    pub place: usize,
    /// The picture that it is a duplicate of.
    pub of: GalleryPicture,
    /// The same part of the same file; otherwise it looks the same.
    pub same_file: bool,
}

/// What enrolling came to.
#[derive(Debug)]
pub struct Enrolled {
    /// The gallery then.
    pub gallery: Gallery,
    /// Pictures added.
    pub added: usize,
    /// Those refused.
    pub duplicates: Vec<Duplicate>,
    /// How each brand stands that got pictures, in the order of their names.
    pub standings: Vec<Standing>,
}

/// How a brand stands among the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The brand.
    pub brand: String,
    /// Its pictures.
    pub pictures: usize,
    /// The other brand whose prototype is most similar to its own.
    pub nearest: Option<Candidate>,
    /// Over its pictures the least of: similarity to the brand (to its *other* pictures' prototype, of a single picture 1) less
    /// that to the most similar other brand. Below 0, a picture would be named after the other.
    pub margin: Option<f32>,
}

impl Standing {
    /// Whether the brand may be taken for the nearest other: a picture of it is nearer to another brand, or the two brands'
    /// prototypes are as similar as a picture and its brand have to be.
    pub fn collides(&self, threshold: Option<f64>) -> bool {
        let near = |nearest: &Candidate| {
            threshold.is_some_and(|threshold| f64::from(nearest.similarity) >= threshold)
        };
        self.margin.is_some_and(|margin| margin <= 0.0) || self.nearest.as_ref().is_some_and(near)
    }
}

impl Gallery {
    /// Enrols pictures, as one change. Those that are enrolled already are refused unless `duplicates` are asked for: the same
    /// part of the same file, or what looks the same, under whatever brand.
    ///
    /// # Errors
    /// A name that does not do, a gallery of another model, the disk.
    pub fn enrol(&self, pictures: Vec<NewPicture>, duplicates: bool) -> Result<Enrolled> {
        for picture in &pictures {
            check_name(&picture.brand)?;
        }
        let mut refused = Vec::new();
        let mut added = Vec::new();
        let gallery = self.edit(|current| {
            let (edits, found) = additions(current, &pictures, duplicates);
            refused = found;
            added = edits
                .iter()
                .filter_map(|edit| match edit {
                    Edit::Add { picture, .. } => Some(picture.brand.clone()),
                    _ => None,
                })
                .collect();
            Ok(edits)
        })?;
        let n = added.len();
        added.sort_unstable();
        added.dedup();
        Ok(Enrolled {
            standings: gallery.standings(&added),
            added: n,
            duplicates: refused,
            gallery,
        })
    }

    /// How these brands stand. One that is not enrolled is left out.
    pub fn standings(&self, names: &[String]) -> Vec<Standing> {
        let places = names.iter().filter_map(|name| {
            let at = self.brands().binary_search_by(|brand| brand.name.cmp(name));
            at.ok()
        });
        let places: Vec<usize> = places.collect();
        let dim = self.model().embedding_dim as usize;
        // Every picture and every prototype asks once; the brand itself is among the two nearest.
        let mut asked = Vec::new();
        for &place in &places {
            let brand = &self.brands()[place];
            asked.push(self.prototype(place));
            asked.extend(
                brand
                    .pictures
                    .clone()
                    .map(|picture| self.embedding(picture)),
            );
        }
        let asked: Vec<&[f32]> = asked.iter().map(Vec::as_slice).collect();
        let mut found = self.search(&asked, 2).into_iter().zip(&asked);
        let mut standings = Vec::new();
        for place in places {
            let brand = &self.brands()[place];
            let other = |top: Vec<Candidate>| top.into_iter().find(|c| c.brand != brand.name);
            let nearest = found.next().and_then(|(top, _)| other(top));
            let own: Vec<(Vec<Candidate>, &&[f32])> =
                found.by_ref().take(brand.pictures.len()).collect();
            let embeddings: Vec<&[f32]> = own.iter().map(|(_, embedding)| **embedding).collect();
            let margins = own
                .into_iter()
                .enumerate()
                .filter_map(|(at, (top, embedding))| {
                    let similarity = match embeddings.len() {
                        1 => 1.0,
                        _ => {
                            let others: Vec<&[f32]> = (0..embeddings.len())
                                .filter(|other| *other != at)
                                .map(|other| embeddings[other])
                                .collect();
                            product(&prototype(dim, others.into_iter()), embedding)
                        }
                    };
                    Some(similarity - other(top)?.similarity)
                });
            standings.push(Standing {
                margin: margins.reduce(f32::min),
                brand: brand.name.clone(),
                pictures: brand.pictures.len(),
                nearest,
            });
        }
        standings
    }
}

/// What is added, and what is refused.
fn additions(
    current: &Contents,
    pictures: &[NewPicture],
    duplicates: bool,
) -> (Vec<Edit>, Vec<Duplicate>) {
    let files = by_file(&current.pictures);
    let mut looks: Vec<Option<u64>> = current.pictures.iter().map(look).collect();
    let (mut edits, mut refused) = (Vec::new(), Vec::new());
    let mut new: Vec<GalleryPicture> = Vec::new();
    for (place, picture) in pictures.iter().enumerate() {
        let record = picture.record();
        let own_look = look(&record);
        let duplicate = match duplicates {
            true => None,
            false => {
                let enrolled = files.get(record.blake3.as_str()).into_iter().flatten();
                let same_file = enrolled
                    .map(|&at| &current.pictures[at])
                    .chain(&new)
                    .find(|other| is_same(other, &record));
                let alike = || {
                    let all = current.pictures.iter().chain(&new).zip(&looks);
                    let mut alike = all.filter(|(_, look)| are_near(**look, own_look));
                    alike.find(|(other, _)| is_same_part(other, &record))
                };
                match same_file {
                    Some(of) => Some((of, true)),
                    None => alike().map(|(of, _)| (of, false)),
                }
            }
        };
        if let Some((of, same_file)) = duplicate {
            refused.push(Duplicate {
                place,
                of: of.clone(),
                same_file,
            });
            continue;
        }
        edits.push(Edit::Add {
            picture: record.clone(),
            embedding: picture.embedding.clone(),
        });
        looks.push(own_look);
        new.push(record);
    }
    (edits, refused)
}

/// The same part of the same file, or the same row.
fn is_same(a: &GalleryPicture, b: &GalleryPicture) -> bool {
    match (&a.source, &b.source) {
        (PictureSource::File { .. }, PictureSource::File { .. }) => {
            a.blake3 == b.blake3 && a.crop == b.crop
        }
        // Of which part of a picture a row is, the row says.
        (a, b) => a == b,
    }
}

/// What a picture that was a file looks like. A dataset was rid of its copies, and crops of two pictures of one logo may well
/// look the same.
fn look(picture: &GalleryPicture) -> Option<u64> {
    match picture.source {
        PictureSource::File { .. } => u64::from_str_radix(&picture.phash, 16).ok(),
        PictureSource::Row { .. } => None,
    }
}

fn are_near(a: Option<u64>, b: Option<u64>) -> bool {
    a.zip(b)
        .is_some_and(|(a, b)| (a ^ b).count_ones() <= SAME_LOOK_BITS)
}

/// Whether about the same part is meant of two pictures that look the same.
fn is_same_part(a: &GalleryPicture, b: &GalleryPicture) -> bool {
    a.bbox.is_none() && b.bbox.is_none() || overlap(a.crop, b.crop) >= 0.5
}

/// What two parts `[x, y, width, height]` have in common, of what they cover together.
fn overlap(a: [u32; 4], b: [u32; 4]) -> f64 {
    let along = |at: usize| {
        let ends = [a, b].map(|part| part[at].saturating_add(part[at + 2]));
        let begin = a[at].max(b[at]);
        f64::from(ends[0].min(ends[1]).saturating_sub(begin))
    };
    let area = |part: [u32; 4]| f64::from(part[2]) * f64::from(part[3]);
    let common = along(0) * along(1);
    common / (area(a) + area(b) - common)
}
