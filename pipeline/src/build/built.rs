//! Numbers the rows and images of shards as they come, and keeps what the tables are made of.

use logodex_schemas::dataset::{CatalogRow, Reject};

use super::annotations::annotation_path;
use super::output::journal::Finished;
use super::rendered::Outcome;
use super::shard_file::ShardRows;
use crate::plan::catalog::Catalog;
use crate::raw::scan::Scan;

/// What the shards hold, and what is known of it.
#[derive(Debug, Default)]
pub struct Built {
    /// The shards, in order.
    pub shards: Vec<Finished>,
    /// How many of them an earlier build had finished.
    pub reused: usize,
    /// A line per row.
    pub rows: Vec<CatalogRow>,
    /// The catalog's samples that were decoded: those that are kept.
    pub images: Vec<usize>,
    /// Images and objects refused while decoding.
    pub rejects: Vec<Reject>,
    /// Objects too small to make a row.
    pub small_objects: u64,
}

impl Built {
    /// The number of the next source image that has a row.
    pub fn next_image(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.image + 1)
    }

    /// Gives a rendered shard its row and image numbers and its catalog rows: all that depends on the shards before it.
    pub fn number(
        &mut self,
        shard: u32,
        scan: &Scan,
        catalog: &Catalog,
        outcome: &Outcome,
    ) -> ShardRows {
        let mut rows = ShardRows::default();
        for image in &outcome.images {
            let sample = &catalog.samples[image.sample];
            let raw = &scan.samples[sample.raw];
            let brand = &catalog.brands[sample.brand as usize];
            let number = self.next_image();
            for row in &image.rows {
                let name = raw.parsed.objects.get(row.object.unwrap_or(0) as usize);
                let row_number = self.rows.len() as u64;
                self.rows.push(CatalogRow {
                    row: row_number,
                    brand_index: sample.brand,
                    category: brand.category.clone(),
                    brand: brand.name.clone(),
                    image: number,
                    object: row.object,
                    raw_image: raw.image.clone(),
                    raw_annotation: raw.annotation.clone(),
                    annotation: annotation_path(brand, &sample.stem),
                    name: name
                        .map(|object| object.name.clone())
                        .filter(|n| !n.is_empty()),
                    width: image.width,
                    height: image.height,
                    source_format: image.format,
                    x: row.crop.x,
                    y: row.crop.y,
                    region_width: row.crop.width,
                    region_height: row.crop.height,
                    blake3: raw.image_blake3.to_hex().to_string(),
                    shard,
                    position: rows.row.len() as u32,
                });
                rows.crc32.push(row.crc32);
                rows.brand.push(i64::from(sample.brand));
                rows.row.push(row_number as i64);
                rows.image.push(number as i64);
                rows.object.push(row.object.map_or(-1, i64::from));
            }
            self.images.push(image.sample);
        }
        self.rejects.extend(outcome.rejects.iter().cloned());
        self.small_objects += outcome.small_objects;
        rows
    }
}
