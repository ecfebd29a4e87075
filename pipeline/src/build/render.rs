//! Renders shards: each on its own, one decode per image, every row straight into its place, what cannot be decoded
//! compacted away. So a shard depends on nothing but its own images.

use anyhow::Context;
use logodex_schemas::dataset::{self, BuildConfig, Encoding, Reject};
use rayon::prelude::*;

use super::rendered::{Outcome, RenderedImage, RenderedRow};
use crate::plan::sharding::{ShardInputs, ShardSpec, row_bytes, slots};
use crate::raw::content::read_unchanged;
use crate::raw::format::{reject_reason, source_format};
use crate::raw::scan::RawSample;
use logodex_pixels::decode::{DecodeError, with_reduced};
use logodex_pixels::resize::{Crop, resize_into, shown};
use logodex_pixels::{Fit, Picture, encode};

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

/// Renders a shard into `buffer`, which is reused whatever it holds. Runs on the current rayon pool; the result does
/// not depend on its size. `progress` is called once per image.
///
/// # Errors
/// An image whose bytes are not those that were scanned: the tree changed in the meantime.
pub fn render(
    inputs: ShardInputs<'_>,
    spec: &ShardSpec,
    buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    match inputs.encoding {
        Encoding::Jpeg => render_jpeg(inputs, spec, buffer, progress),
        _ => render_raw(inputs, spec, buffer, progress),
    }
}

/// Every row straight into its place; what was refused is compacted away.
fn render_raw(
    inputs: ShardInputs<'_>,
    spec: &ShardSpec,
    mut buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    let config = inputs.config;
    let row = row_bytes(config.side);
    buffer.resize(spec.slots * row, 0);
    let slots = |i: usize| slots(inputs.raw(i), config.region);
    let mut places = Vec::with_capacity(spec.samples.len());
    let mut rest = buffer.as_mut_slice();
    for i in spec.samples.clone() {
        let (place, after) = rest.split_at_mut(slots(i) * row);
        places.push((i, place));
        rest = after;
    }
    let outcomes: Vec<Outcome> = places
        .into_par_iter()
        .map(|(i, place)| {
            let mut rows = place.chunks_exact_mut(row);
            let outcome = render_sample(inputs, i, &mut |picture, crop| {
                // A sample has at most as many rows as slots.
                let out = rows.next().context("a row without a place")?;
                resize_into(picture, crop, fit(config.fit), config.side, out)?;
                Ok(crc32fast::hash(out))
            });
            progress();
            outcome
        })
        .collect::<anyhow::Result<_>>()?;

    let (mut filled, mut slot) = (0, 0);
    for (i, outcome) in spec.samples.clone().zip(&outcomes) {
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
    inputs: ShardInputs<'_>,
    spec: &ShardSpec,
    mut buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    let config = inputs.config;
    let rendered: Vec<(Vec<Vec<u8>>, Outcome)> = spec
        .samples
        .clone()
        .into_par_iter()
        .map_init(
            || vec![0; row_bytes(config.side)],
            |pixels, i| {
                let mut jpegs = Vec::new();
                let outcome = render_sample(inputs, i, &mut |picture, crop| {
                    resize_into(picture, crop, fit(config.fit), config.side, pixels)?;
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

/// Decodes one image and hands each of its rows to `put`, which stores it and returns its checksum.
fn render_sample(
    inputs: ShardInputs<'_>,
    index: usize,
    put: &mut dyn FnMut(&Picture, Crop) -> anyhow::Result<u32>,
) -> anyhow::Result<Outcome> {
    let (config, sample) = (inputs.config, inputs.raw(index));
    let bytes = read_unchanged(&inputs.scan.root, &sample.image, sample.image_blake3)?;
    let mut outcome = Outcome::default();
    // A box may be small in a picture that is large.
    let side = match config.region.objects() {
        true => u32::MAX,
        false => config.side,
    };
    let rendered = with_reduced(&bytes, side, |picture| {
        let mut rows = Vec::new();
        for (object, crop) in crops(sample, config, picture, &mut outcome) {
            let crc32 = put(picture, crop)
                .with_context(|| format!("cannot fit {} to {} px", sample.image, config.side))?;
            let crop = shown(crop, fit(config.fit));
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

/// How a region becomes a square: the configuration's word in the resizer's.
fn fit(fit: dataset::Fit) -> Fit {
    match fit {
        dataset::Fit::Squash => Fit::Squash,
        dataset::Fit::Letterbox => Fit::Letterbox,
        dataset::Fit::Cover => Fit::Cover,
    }
}
