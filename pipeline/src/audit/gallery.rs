//! Keeps the pictures that findings show, each once, and draws them on contact sheets.

use std::collections::HashMap;

use anyhow::Result;
use logodex_pixels::{Crop, Fit, decode, encode, resize_into};
use logodex_schemas::plan::audit::{Finding, Picture, PictureObject};
use rayon::prelude::*;

use crate::raw::scan::Scan;

/// Pairs and single pictures that a finding shows.
pub const SHOWN: usize = 8;

/// Side of a tile, pixels. A picture is fitted into it, centred.
pub const TILE_PX: u32 = 96;
/// Tiles in a row of a sheet, and rows of a sheet.
pub const ACROSS: u32 = 8;
/// More pictures than these are named and not shown: with them a page stays below 15 MB.
const MAX_TILES: usize = 4608;
/// Of the JPEGs that hold the sheets.
const QUALITY: u8 = 62;

/// The pictures that are shown, in the order in which they were asked for.
pub struct Gallery<'a> {
    scan: &'a Scan,
    places: HashMap<usize, u32>,
    /// Positions in the scan's samples.
    samples: Vec<usize>,
}

impl<'a> Gallery<'a> {
    /// Without pictures.
    pub fn new(scan: &'a Scan) -> Self {
        Self {
            scan,
            places: HashMap::new(),
            samples: Vec::new(),
        }
    }

    /// The position among [`Gallery::pictures`] of a sample of the scan, which is added if it is new.
    pub fn place(&mut self, sample: usize) -> u32 {
        *self.places.entry(sample).or_insert_with(|| {
            self.samples.push(sample);
            self.samples.len() as u32 - 1
        })
    }

    /// Makes a finding show the first of these samples, and say how many there are.
    pub fn show(&mut self, found: &mut Finding, samples: &[usize]) {
        found.alone_total = samples.len() as u64;
        let shown = samples.iter().take(SHOWN);
        found.alone = shown.map(|&i| self.place(i)).collect();
    }

    /// Numbers the pictures in the order in which the findings show them: where there is no room for all, the first
    /// findings have theirs.
    pub fn in_order_of(&mut self, findings: &mut [Finding]) {
        let samples = std::mem::take(&mut self.samples);
        self.places.clear();
        let mut again = |place: &mut u32| *place = self.place(samples[*place as usize]);
        for found in findings {
            for pair in &mut found.pairs {
                again(&mut pair.a);
                again(&mut pair.b);
            }
            found.alone.iter_mut().for_each(&mut again);
        }
    }

    /// What is known of each picture.
    pub fn pictures(&self) -> Vec<Picture> {
        let picture = |(place, &i): (usize, &usize)| {
            let sample = &self.scan.samples[i];
            let objects = sample.parsed.objects.iter();
            let objects = objects.filter_map(|object| {
                let bbox = object.bbox.as_ref().ok()?;
                Some(PictureObject {
                    name: object.name.clone(),
                    bbox: [bbox.xmin, bbox.ymin, bbox.xmax, bbox.ymax],
                })
            });
            Picture {
                image: sample.image.clone(),
                width: sample.seen.width,
                height: sample.seen.height,
                tile: (place < MAX_TILES).then_some(place as u32),
                objects: objects.collect(),
            }
        };
        self.samples.iter().enumerate().map(picture).collect()
    }

    /// The contact sheets, JPEG: the tile of picture `i` is number `i % 64` of sheet `i / 64`. A picture that cannot be
    /// read leaves its tile grey.
    ///
    /// # Errors
    /// A sheet cannot be coded.
    pub fn sheets(&self) -> Result<Vec<Vec<u8>>> {
        let shown = &self.samples[..self.samples.len().min(MAX_TILES)];
        let sheet = |samples: &[usize]| -> Result<Vec<u8>> {
            let (side, tile) = ((ACROSS * TILE_PX) as usize, TILE_PX as usize);
            let mut sheet = vec![127u8; side * side * 3];
            let mut square = vec![0u8; tile * tile * 3];
            for (n, &i) in samples.iter().enumerate() {
                let path = self.scan.root.join(&self.scan.samples[i].image);
                let Some(picture) = std::fs::read(path).ok().and_then(|b| decode(&b).ok()) else {
                    continue;
                };
                let whole = Crop::whole(&picture);
                resize_into(&picture, whole, Fit::Letterbox, TILE_PX, &mut square)?;
                let (left, top) = (n % ACROSS as usize * tile, n / ACROSS as usize * tile);
                for (y, row) in square.chunks_exact(tile * 3).enumerate() {
                    let begin = ((top + y) * side + left) * 3;
                    sheet[begin..begin + row.len()].copy_from_slice(row);
                }
            }
            Ok(encode(&sheet, ACROSS * TILE_PX, QUALITY)?)
        };
        shown
            .par_chunks((ACROSS * ACROSS) as usize)
            .map(sheet)
            .collect()
    }
}
