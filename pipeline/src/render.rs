//! Shards are planned first, over candidate rows, and each is rendered on its own: one decode per image, every row
//! straight into its place, what cannot be decoded compacted away. So a shard depends on nothing but its own images.

use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::{BuildConfig, Encoding, Region, Reject, SourceFormat};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::picture::{self, reject_reason, source_format};
use crate::scan::{RawSample, Scan};
use logodex_pixels::decode::{DecodeError, with_seen_picture};
use logodex_pixels::resize::{Crop, resize_into, shown};
use logodex_pixels::{Picture, encode};

/// What all shards of a dataset are made from.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The raw tree.
    pub scan: &'a Scan,
    /// What is kept of it.
    pub catalog: &'a Catalog,
    /// The configuration.
    pub config: &'a BuildConfig,
    /// `raw` or `jpeg`.
    pub encoding: Encoding,
}

impl<'a> Line<'a> {
    /// From these, with the encoding that the configuration comes to.
    pub fn new(scan: &'a Scan, catalog: &'a Catalog, config: &'a BuildConfig) -> Self {
        Self {
            scan,
            catalog,
            config,
            encoding: resolve_encoding(scan, catalog, config),
        }
    }

    /// The raw image and annotation of a sample of the catalog.
    fn raw(self, sample: usize) -> &'a RawSample {
        &self.scan.samples[self.catalog.samples[sample].raw]
    }
}

/// What a shard is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlan {
    /// Samples of the catalog.
    pub samples: Range<usize>,
    /// Rows, if nothing is refused.
    pub slots: usize,
}

/// A row as rendered: what it shows, and the checksum of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedRow {
    /// The object's position in its annotation; none for the whole image.
    pub object: Option<u32>,
    /// The source pixels shown.
    pub crop: Crop,
    /// CRC-32 of the row's stored bytes.
    pub crc32: u32,
}

/// An image that was decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedImage {
    /// Its position in the catalog's samples.
    pub sample: usize,
    /// Width as decoded, pixels.
    pub width: u32,
    /// Height as decoded, pixels.
    pub height: u32,
    /// What the file is.
    pub format: SourceFormat,
    /// Its rows: none where every object was refused or too small.
    pub rows: Vec<RenderedRow>,
}

/// A shard as rendered, not yet numbered.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The rows as stored, one after the other.
    pub stored: Vec<u8>,
    /// JPEG rows: where each begins, and where the last ends.
    pub offsets: Vec<u64>,
    /// All else.
    pub outcome: Outcome,
}

/// What became of a shard's samples, pixels aside: enough to number its rows a second time.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The images that were decoded, in the order of the catalog.
    pub images: Vec<RenderedImage>,
    /// Images and objects that were refused.
    pub rejects: Vec<Reject>,
    /// Objects that are too small to make a row.
    pub small_objects: u64,
}

/// Bytes of one row.
pub fn row_bytes(side: u32) -> usize {
    side as usize * side as usize * 3
}

/// Rows that a sample makes if nothing is refused.
fn slots(sample: &RawSample, region: Region) -> usize {
    let objects = sample.parsed.objects.iter();
    let objects = || objects.filter(|object| object.bbox.is_ok()).count();
    usize::from(region.images()) + if region.objects() { objects() } else { 0 }
}

/// JPEG shards hold this many times more rows than raw ones of the same size, about.
const JPEG_RATIO: usize = 8;

/// With `auto`, raw shards may take this many bytes together.
const AUTO_RAW_BYTES: usize = 4 << 30;

/// What `encoding = "auto"` comes to for this catalog.
fn resolve_encoding(scan: &Scan, catalog: &Catalog, config: &BuildConfig) -> Encoding {
    let rows = catalog.samples.iter();
    let rows = rows.map(|sample| slots(&scan.samples[sample.raw], config.region));
    match config.encoding {
        Encoding::Auto if rows.sum::<usize>() * row_bytes(config.side) > AUTO_RAW_BYTES => {
            Encoding::Jpeg
        }
        Encoding::Auto => Encoding::Raw,
        encoding => encoding,
    }
}

/// Cuts the catalog into shards of about `shard_mib`, whole images each, in the order of the catalog.
pub fn plan_shards(line: Line<'_>) -> Vec<ShardPlan> {
    let config = line.config;
    let rows = match line.encoding {
        Encoding::Jpeg => JPEG_RATIO,
        _ => 1,
    };
    let capacity = rows * ((config.shard_mib as usize) << 20) / row_bytes(config.side);
    let mut shards: Vec<ShardPlan> = Vec::new();
    for i in 0..line.catalog.samples.len() {
        let n = slots(line.raw(i), config.region);
        match shards.last_mut() {
            Some(shard) if shard.slots + n <= capacity => {
                shard.slots += n;
                shard.samples.end = i + 1;
            }
            _ => shards.push(ShardPlan {
                samples: i..i + 1,
                slots: n,
            }),
        }
    }
    shards
}

/// Renders a shard into `buffer`, which is reused whatever it holds. Runs on the current rayon pool; the result does
/// not depend on its size. `progress` is called once per image.
///
/// # Errors
/// An image whose bytes are not those that were scanned: the tree changed in the meantime.
pub fn render(
    line: Line<'_>,
    plan: &ShardPlan,
    buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    match line.encoding {
        Encoding::Jpeg => render_jpeg(line, plan, buffer, progress),
        _ => render_raw(line, plan, buffer, progress),
    }
}

/// Every row straight into its place; what was refused is compacted away.
fn render_raw(
    line: Line<'_>,
    plan: &ShardPlan,
    mut buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    let config = line.config;
    let row = row_bytes(config.side);
    buffer.resize(plan.slots * row, 0);
    let slots = |i: usize| slots(line.raw(i), config.region);
    let mut places = Vec::with_capacity(plan.samples.len());
    let mut rest = buffer.as_mut_slice();
    for i in plan.samples.clone() {
        let (place, after) = rest.split_at_mut(slots(i) * row);
        places.push((i, place));
        rest = after;
    }
    let outcomes: Vec<Outcome> = places
        .into_par_iter()
        .map(|(i, place)| {
            let mut rows = place.chunks_exact_mut(row);
            let outcome = render_sample(line, i, &mut |picture, crop| {
                // A sample has at most as many rows as slots.
                let out = rows.next().context("a row without a place")?;
                resize_into(picture, crop, picture::fit(config.fit), config.side, out)?;
                Ok(crc32fast::hash(out))
            });
            progress();
            outcome
        })
        .collect::<anyhow::Result<_>>()?;

    let (mut filled, mut slot) = (0, 0);
    for (i, outcome) in plan.samples.clone().zip(&outcomes) {
        let n = outcome
            .images
            .iter()
            .map(|image| image.rows.len())
            .sum::<usize>();
        if filled != slot {
            buffer.copy_within(slot * row..(slot + n) * row, filled * row);
        }
        filled += n;
        slot += slots(i);
    }
    buffer.truncate(filled * row);
    Ok(Rendered {
        stored: buffer,
        offsets: Vec::new(),
        outcome: joined(outcomes),
    })
}

/// Every row encoded on its own, then all put together.
fn render_jpeg(
    line: Line<'_>,
    plan: &ShardPlan,
    mut buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    let config = line.config;
    let rendered: Vec<(Vec<Vec<u8>>, Outcome)> = plan
        .samples
        .clone()
        .into_par_iter()
        .map_init(
            || vec![0; row_bytes(config.side)],
            |pixels, i| {
                let mut jpegs = Vec::new();
                let outcome = render_sample(line, i, &mut |picture, crop| {
                    resize_into(picture, crop, picture::fit(config.fit), config.side, pixels)?;
                    let jpeg = encode(pixels, config.side, config.jpeg_quality)?;
                    let crc32 = crc32fast::hash(&jpeg);
                    jpegs.push(jpeg);
                    Ok(crc32)
                })?;
                progress();
                Ok((jpegs, outcome))
            },
        )
        .collect::<anyhow::Result<_>>()?;
    buffer.clear();
    let mut offsets = vec![0];
    let (jpegs, outcomes): (Vec<_>, Vec<_>) = rendered.into_iter().unzip();
    for jpeg in jpegs.into_iter().flatten() {
        buffer.extend_from_slice(&jpeg);
        offsets.push(buffer.len() as u64);
    }
    Ok(Rendered {
        stored: buffer,
        offsets,
        outcome: joined(outcomes),
    })
}

fn joined(outcomes: Vec<Outcome>) -> Outcome {
    let mut all = Outcome::default();
    for outcome in outcomes {
        all.images.extend(outcome.images);
        all.rejects.extend(outcome.rejects);
        all.small_objects += outcome.small_objects;
    }
    all
}

/// Reads a file of the raw tree and makes sure that it is the one that was scanned.
///
/// # Errors
/// It cannot be read, or its bytes are others.
pub fn read_unchanged(
    root: &Path,
    relative: &str,
    blake3: blake3::Hash,
) -> anyhow::Result<Vec<u8>> {
    let path = root.join(relative);
    let changed = || {
        format!(
            "{} changed while the dataset was built; build again when nothing writes the tree",
            path.display()
        )
    };
    let bytes = std::fs::read(&path).with_context(changed)?;
    anyhow::ensure!(blake3::hash(&bytes) == blake3, changed());
    Ok(bytes)
}

/// Decodes one image and hands each of its rows to `put`, which stores it and returns its checksum.
fn render_sample(
    line: Line<'_>,
    index: usize,
    put: &mut dyn FnMut(&Picture, Crop) -> anyhow::Result<u32>,
) -> anyhow::Result<Outcome> {
    let (config, sample) = (line.config, line.raw(index));
    let bytes = read_unchanged(&line.scan.root, &sample.image, sample.image_blake3)?;
    let mut outcome = Outcome::default();
    let rendered = with_seen_picture(&bytes, |picture| {
        let mut rows = Vec::new();
        for (object, crop) in crops(sample, config, picture, &mut outcome) {
            let crc32 = put(picture, crop)
                .with_context(|| format!("cannot fit {} to {} px", sample.image, config.side))?;
            let crop = shown(crop, picture::fit(config.fit));
            rows.push(RenderedRow {
                object,
                crop,
                crc32,
            });
        }
        anyhow::Ok(RenderedImage {
            sample: index,
            width: picture.width,
            height: picture.height,
            format: source_format(picture.format),
            rows,
        })
    });
    match rendered {
        Ok(image) => outcome.images.push(image?),
        Err(DecodeError { reason, detail }) => outcome.rejects.push(Reject {
            path: sample.image.clone(),
            object: None,
            reason: reject_reason(reason),
            detail,
        }),
    }
    Ok(outcome)
}

/// The crops of an image's rows. Boxes outside the image are listed, whatever the region.
fn crops(
    sample: &RawSample,
    config: &BuildConfig,
    picture: &Picture,
    outcome: &mut Outcome,
) -> Vec<(Option<u32>, Crop)> {
    let mut crops = Vec::new();
    if config.region.images() {
        crops.push((None, Crop::whole(picture)));
    }
    for (position, object) in (0u32..).zip(&sample.parsed.objects) {
        // The scan has listed the boxes that are wrong in themselves; only the picture tells whether one lies in it.
        let Ok(bbox) = &object.bbox else { continue };
        match bbox.clip(picture.width, picture.height) {
            Err(defect) => outcome.rejects.push(Reject {
                path: sample.annotation.clone(),
                object: Some(position),
                reason: defect.reason,
                detail: defect.detail,
            }),
            Ok(_) if !config.region.objects() => {}
            Ok([x0, y0, x1, y1]) if (x1 - x0).min(y1 - y0) < config.min_object_px => {
                outcome.small_objects += 1;
            }
            Ok(bbox) => crops.push((
                Some(position),
                Crop::with_context(bbox, config.context, picture),
            )),
        }
    }
    crops
}
