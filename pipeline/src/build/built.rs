//! Lists the rows that shards hold, and numbers them as planned.

use logodex_schemas::dataset::{CatalogRow, ShardEntry};

use super::annotations::annotation_path;
use super::output::journal::Finished;
use super::render::{Refused, RenderedImage};
use super::shard_file::ShardRows;
use crate::plan::sharding::{ShardInputs, ShardSpec, rows, small_objects};

/// What became of the shards.
#[derive(Debug)]
pub struct Written {
    /// A shard for each spec, in their order, where nothing was refused.
    pub shards: Vec<Finished>,
    /// How many of them an earlier build had finished.
    pub reused: usize,
    /// Images that the decoder refused. If there are any, the shards are to be planned again without them.
    pub refused: Vec<Refused>,
}

/// What the shards hold, and what is known of it.
#[derive(Debug)]
pub struct Built {
    /// The shards, in order.
    pub shards: Vec<ShardEntry>,
    /// How many of them an earlier build had finished.
    pub reused: usize,
    /// A line per row.
    pub rows: Vec<CatalogRow>,
    /// Objects too small to make a row.
    pub small_objects: u64,
}

/// The path of a shard relative to the dataset.
pub fn shard_path(number: usize) -> String {
    format!("shards/{number:05}.safetensors")
}

impl Built {
    /// Lists what was written: a shard for each of `specs`.
    pub fn new(inputs: ShardInputs<'_>, specs: &[ShardSpec], written: &Written) -> Self {
        let mut rows = Vec::new();
        let mut shards = Vec::with_capacity(specs.len());
        for (number, (spec, shard)) in specs.iter().zip(&written.shards).enumerate() {
            catalog_rows(inputs, number as u32, spec, &shard.images, &mut rows);
            shards.push(ShardEntry {
                path: shard_path(number),
                first_row: spec.first_row,
                first_image: spec.first_image,
                first_brand: spec.first_brand,
                n_rows: spec.rows.len() as u64,
                bytes: shard.file.bytes,
                blake3: shard.file.blake3.clone(),
                columns_blake3: shard.file.columns_blake3.clone(),
            });
        }
        Self {
            shards,
            reused: written.reused,
            rows,
            small_objects: small_objects(inputs),
        }
    }
}

/// The numbers of a rendered shard's rows, each counted from the shard's first; their bytes are left out.
pub fn shard_rows(
    inputs: ShardInputs<'_>,
    spec: &ShardSpec,
    images: &[RenderedImage],
) -> ShardRows {
    let mut columns = ShardRows::default();
    for (number, (part, image)) in (0..).zip(spec.parts(inputs).iter().zip(images)) {
        let brand = inputs.catalog.samples[part.sample].brand - spec.first_brand;
        let objects = rows(inputs.raw(part.sample), inputs.config).skip(part.rows.start);
        for (row, object) in image.rows.iter().zip(objects) {
            columns.row.push(columns.row.len() as i64);
            columns.crc32.push(row.crc32);
            columns.brand.push(i64::from(brand));
            columns.image.push(number);
            columns
                .object
                .push(object.map_or(-1, |(position, _)| i64::from(position)));
        }
    }
    columns
}

/// Appends the catalog's rows of a shard.
fn catalog_rows(
    inputs: ShardInputs<'_>,
    shard: u32,
    spec: &ShardSpec,
    images: &[RenderedImage],
    catalog: &mut Vec<CatalogRow>,
) {
    let mut position = 0;
    for (number, (part, image)) in (spec.first_image..).zip(spec.parts(inputs).iter().zip(images)) {
        let sample = &inputs.catalog.samples[part.sample];
        let raw = inputs.raw(part.sample);
        let brand = &inputs.catalog.brands[sample.brand as usize];
        let objects = rows(raw, inputs.config).skip(part.rows.start);
        for (row, object) in image.rows.iter().zip(objects) {
            let object = object.map(|(position, _)| position);
            let named = raw.parsed.objects.get(object.unwrap_or(0) as usize);
            catalog.push(CatalogRow {
                row: spec.first_row + u64::from(position),
                brand_index: sample.brand,
                category: brand.category.clone(),
                brand: brand.name.clone(),
                image: number,
                object,
                raw_image: raw.image.clone(),
                raw_annotation: raw.annotation.clone(),
                annotation: annotation_path(brand, &sample.stem),
                name: named
                    .map(|object| object.name.clone())
                    .filter(|n| !n.is_empty()),
                width: raw.seen.width,
                height: raw.seen.height,
                source_format: image.format,
                x: row.crop.x,
                y: row.crop.y,
                region_width: row.crop.width,
                region_height: row.crop.height,
                blake3: raw.image_blake3.to_hex().to_string(),
                shard,
                position,
            });
            position += 1;
        }
    }
}
