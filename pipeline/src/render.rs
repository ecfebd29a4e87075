//! Shards are planned first, over candidate rows, and each is rendered on its own: one decode per image, every row
//! straight into its place, what cannot be decoded compacted away. So a shard depends on nothing but its own images.

use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::{BuildConfig, Region, Reject};
use rayon::prelude::*;

use crate::catalog::Catalog;
use crate::decode::{DecodeError, Picture, with_seen_picture};
use crate::resize::{Crop, resize_into};
use crate::scan::{RawSample, Scan};

/// What a shard is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlan {
    /// Samples of the catalog.
    pub samples: Range<usize>,
    /// Rows, if nothing is refused.
    pub slots: usize,
}

/// A row as rendered: what it shows, and the checksum of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedRow {
    /// The object's position in its annotation; none for the whole image.
    pub object: Option<u32>,
    /// The source pixels shown.
    pub crop: Crop,
    /// CRC-32 of the row's bytes.
    pub crc32: u32,
}

/// An image that was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedImage {
    /// Its position in the catalog's samples.
    pub sample: usize,
    /// Width as decoded, pixels.
    pub width: u32,
    /// Height as decoded, pixels.
    pub height: u32,
    /// Its rows: none where every object was refused or too small.
    pub rows: Vec<RenderedRow>,
}

/// A shard as rendered, not yet numbered.
#[derive(Debug, Default)]
pub struct Rendered {
    /// `[n, side, side, 3]`, RGB.
    pub pixels: Vec<u8>,
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
    match region {
        Region::Image => 1,
        Region::Object => sample
            .parsed
            .objects
            .iter()
            .filter(|object| object.bbox.is_ok())
            .count(),
    }
}

/// Cuts the catalog into shards of about `shard_mib`, whole images each, in the order of the catalog.
pub fn plan_shards(scan: &Scan, catalog: &Catalog, config: &BuildConfig) -> Vec<ShardPlan> {
    let capacity = ((config.shard_mib as usize) << 20) / row_bytes(config.side);
    let mut shards: Vec<ShardPlan> = Vec::new();
    for (i, sample) in catalog.samples.iter().enumerate() {
        let n = slots(&scan.samples[sample.raw], config.region);
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

/// What became of one sample.
struct Outcome {
    image: Option<RenderedImage>,
    rejects: Vec<Reject>,
    small_objects: u64,
}

/// Renders a shard into `buffer`, which is reused whatever it holds. Runs on the current rayon pool; the result does
/// not depend on its size. `progress` is called once per image.
///
/// # Errors
/// An image whose bytes are not those that were scanned: the tree changed in the meantime.
pub fn render(
    scan: &Scan,
    catalog: &Catalog,
    config: &BuildConfig,
    plan: &ShardPlan,
    mut buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    let row = row_bytes(config.side);
    buffer.resize(plan.slots * row, 0);
    let mut places = Vec::with_capacity(plan.samples.len());
    let mut rest = buffer.as_mut_slice();
    for i in plan.samples.clone() {
        let n = slots(&scan.samples[catalog.samples[i].raw], config.region);
        let (place, after) = rest.split_at_mut(n * row);
        places.push((i, place));
        rest = after;
    }
    let outcomes: Vec<Outcome> = places
        .into_par_iter()
        .map(|(i, place)| {
            let outcome = render_sample(scan, catalog, config, i, place);
            progress();
            outcome
        })
        .collect::<anyhow::Result<_>>()?;

    let mut rendered = Rendered::default();
    let (mut filled, mut slot) = (0, 0);
    for (i, outcome) in plan.samples.clone().zip(outcomes) {
        let n = outcome.image.as_ref().map_or(0, |image| image.rows.len());
        if filled != slot {
            buffer.copy_within(slot * row..(slot + n) * row, filled * row);
        }
        filled += n;
        slot += slots(&scan.samples[catalog.samples[i].raw], config.region);
        rendered.images.extend(outcome.image);
        rendered.rejects.extend(outcome.rejects);
        rendered.small_objects += outcome.small_objects;
    }
    buffer.truncate(filled * row);
    rendered.pixels = buffer;
    Ok(rendered)
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

fn render_sample(
    scan: &Scan,
    catalog: &Catalog,
    config: &BuildConfig,
    index: usize,
    place: &mut [u8],
) -> anyhow::Result<Outcome> {
    let sample = &scan.samples[catalog.samples[index].raw];
    let bytes = read_unchanged(&scan.root, &sample.image, sample.image_blake3)?;
    let mut rejects = Vec::new();
    let mut small_objects = 0;
    let rendered = with_seen_picture(&bytes, |picture| {
        let crops = crops(sample, config, picture, &mut rejects, &mut small_objects);
        let mut rows = Vec::with_capacity(crops.len());
        for ((object, crop), out) in crops
            .into_iter()
            .zip(place.chunks_exact_mut(row_bytes(config.side)))
        {
            resize_into(picture, crop, config.side, out)
                .with_context(|| format!("cannot resize {} to {}", sample.image, config.side))?;
            rows.push(RenderedRow {
                object,
                crop,
                crc32: crc32fast::hash(out),
            });
        }
        anyhow::Ok(RenderedImage {
            sample: index,
            width: picture.width,
            height: picture.height,
            rows,
        })
    });
    let image = match rendered {
        Ok(image) => Some(image?),
        Err(DecodeError { reason, detail }) => {
            rejects.push(Reject {
                path: sample.image.clone(),
                object: None,
                reason,
                detail,
            });
            None
        }
    };
    Ok(Outcome {
        image,
        rejects,
        small_objects,
    })
}

/// The crops of an image's rows. Boxes outside the image are listed, whatever the region.
fn crops(
    sample: &RawSample,
    config: &BuildConfig,
    picture: &Picture,
    rejects: &mut Vec<Reject>,
    small_objects: &mut u64,
) -> Vec<(Option<u32>, Crop)> {
    let mut crops = Vec::new();
    if config.region == Region::Image {
        crops.push((None, Crop::whole(picture)));
    }
    for (position, object) in (0u32..).zip(&sample.parsed.objects) {
        // The scan has listed the boxes that are wrong in themselves; only the picture tells whether one lies in it.
        let Ok(bbox) = &object.bbox else { continue };
        match bbox.clip(picture.width, picture.height) {
            Err(defect) => rejects.push(Reject {
                path: sample.annotation.clone(),
                object: Some(position),
                reason: defect.reason,
                detail: defect.detail,
            }),
            Ok(_) if config.region == Region::Image => {}
            Ok([x0, y0, x1, y1]) if (x1 - x0).min(y1 - y0) < config.min_object_px => {
                *small_objects += 1;
            }
            Ok(bbox) => crops.push((
                Some(position),
                Crop::with_context(bbox, config.context, picture),
            )),
        }
    }
    crops
}
