//! From plans of shards to shards on disk: each is rendered, numbered and written, or used again from an earlier build.

use std::sync::mpsc;

use logodex_schemas::dataset::{CatalogRow, Reject};

use crate::catalog::Catalog;
use crate::output::{Finished, Output};
use crate::render::{self, Line, Outcome, ShardPlan};
use crate::scan::Scan;
use crate::shard::{self, ShardRows};
use crate::tables;
use logodex_pixels::decode;
use logodex_pixels::resize;
use logodex_program::progress::StageProgress;

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

/// A shard that is rendered.
struct Unwritten {
    path: String,
    key: String,
    first_sample: usize,
    outcome: Outcome,
}

/// Renders and writes the shards: while one is written, the next is rendered, so that two are in memory. What an earlier
/// build finished from the same content is used again.
pub fn write_shards(line: Line<'_>, plans: &[ShardPlan], output: &Output) -> anyhow::Result<Built> {
    let Line {
        scan,
        catalog,
        config,
        ..
    } = line;
    let progress = StageProgress::new("decode");
    let total = catalog.samples.len() as u64;
    let stage = output.stage();
    let mut journal = output.journal()?;
    let mut built = Built::default();
    std::thread::scope(|scope| {
        let (to_writer, shards) = mpsc::sync_channel::<(ShardRows, Unwritten)>(0);
        let (give_back, buffers) = mpsc::channel::<Vec<u8>>();
        let writer = scope.spawn(move || {
            let mut written = Vec::new();
            for (mut rows, shard) in shards {
                let finished = Finished {
                    entry: shard::write(&stage, &shard.path, &rows, config.side)?,
                    key: shard.key,
                    first_sample: shard.first_sample,
                    outcome: shard.outcome,
                };
                journal.note(&finished)?;
                written.push(finished);
                // The renderer may have ended already; then nobody needs the buffer.
                let _ = give_back.send(std::mem::take(&mut rows.stored));
            }
            anyhow::Ok(written)
        });
        let mut refused = scan.rejects.len() as u64;
        let mut reused = Vec::new();
        let mut next = 0;
        for plan in plans {
            let path = shard_path(next);
            let key = shard_key(line, plan, &built);
            let first_sample = plan.samples.start;
            if let Some(mut found) = output.reuse(&path, &key) {
                for image in &mut found.outcome.images {
                    image.sample = image.sample - found.first_sample + first_sample;
                }
                found.first_sample = first_sample;
                number(&mut built, next, scan, catalog, &found.outcome);
                refused += found.outcome.rejects.len() as u64;
                for _ in plan.samples.clone() {
                    progress.step(total);
                }
                reused.push(found);
                next += 1;
                continue;
            }
            let buffer = buffers.try_recv().unwrap_or_default();
            let rendered = render::render(line, plan, buffer, &|| progress.step(total))?;
            refused += rendered.outcome.rejects.len() as u64;
            // An over-full list ends in an error, which names them all: decode on, write no more.
            let doomed = refused > config.max_rejects;
            let mut rows = number(&mut built, next, scan, catalog, &rendered.outcome);
            if rows.row.is_empty() || doomed {
                continue;
            }
            rows.stored = rendered.stored;
            rows.offsets = rendered.offsets;
            let unwritten = Unwritten {
                path,
                key,
                first_sample,
                outcome: rendered.outcome,
            };
            if to_writer.send((rows, unwritten)).is_err() {
                break; // The writer failed, and says why below.
            }
            next += 1;
        }
        drop(to_writer);
        built.reused = reused.len();
        built.shards = reused;
        built.shards.extend(match writer.join() {
            Ok(written) => written?,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        built.shards.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        Ok(built)
    })
}

/// Hash of all that a shard's bytes and rows depend on.
fn shard_key(line: Line<'_>, plan: &ShardPlan, before: &Built) -> String {
    let config = line.config;
    let made_as = serde_json::json!([
        config.side,
        config.region,
        config.fit,
        line.encoding,
        config.jpeg_quality,
        config.context,
        config.min_object_px,
        decode::decoder_version(),
        decode::encoder_version(),
        resize::resizer_version(),
        before.rows.len(),
        next_image(before),
    ]);
    let mut hasher = blake3::Hasher::new_derive_key("logodex shard 2");
    hasher.update(made_as.to_string().as_bytes());
    for sample in &line.catalog.samples[plan.samples.clone()] {
        let raw = &line.scan.samples[sample.raw];
        hasher.update(raw.image_blake3.as_bytes());
        hasher.update(raw.annotation_blake3.as_bytes());
        hasher.update(&sample.brand.to_le_bytes());
        hasher.update(raw.image.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// The number of the next source image that has a row.
fn next_image(built: &Built) -> u64 {
    built.rows.last().map_or(0, |row| row.image + 1)
}

/// The path of a shard relative to the dataset.
fn shard_path(number: u32) -> String {
    format!("shards/{number:05}.safetensors")
}

/// Gives a rendered shard its row and image numbers and its catalog rows: all that depends on the shards before it.
fn number(
    built: &mut Built,
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
        let number = next_image(built);
        for row in &image.rows {
            let name = raw.parsed.objects.get(row.object.unwrap_or(0) as usize);
            let row_number = built.rows.len() as u64;
            built.rows.push(CatalogRow {
                row: row_number,
                brand_index: sample.brand,
                category: brand.category.clone(),
                brand: brand.name.clone(),
                image: number,
                object: row.object,
                raw_image: raw.image.clone(),
                raw_annotation: raw.annotation.clone(),
                annotation: tables::annotation_path(brand, &sample.stem),
                name: name.map(|object| object.name.clone()),
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
        built.images.push(image.sample);
    }
    built.rejects.extend(outcome.rejects.iter().cloned());
    built.small_objects += outcome.small_objects;
    rows
}
