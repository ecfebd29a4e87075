//! Renders shards: each on its own, one decode per image, every row straight into its place.

use anyhow::Context;
use logodex_schemas::dataset::{self, Encoding, Reject, SourceFormat};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::plan::sharding::{Part, ShardInputs, ShardSpec, row_bytes, rows};
use crate::raw::content::read_unchanged;
use crate::raw::format::{reject_reason, source_format};
use logodex_pixels::decode::{DecodeError, with_reduced};
use logodex_pixels::resize::{Crop, resize_into, shown};
use logodex_pixels::{Fit, Picture, encode};

/// A row as rendered: what it shows, and the checksum of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedRow {
    /// The source pixels shown.
    pub crop: Crop,
    /// CRC-32 of the row's stored bytes.
    pub crc32: u32,
}

/// An image's rows in a shard: what the journal notes of it, enough to list them a second time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedImage {
    /// What the file is.
    pub format: SourceFormat,
    /// Its rows, as planned.
    pub rows: Vec<RenderedRow>,
}

/// A shard as rendered, not yet numbered.
#[derive(Debug)]
pub struct Rendered {
    /// The rows as stored, one after the other.
    pub stored: Vec<u8>,
    /// JPEG rows: where each begins, and where the last ends.
    pub offsets: Vec<u64>,
    /// Its images, as [`ShardSpec::parts`] lists them.
    pub images: Vec<RenderedImage>,
    /// What was refused. If there is anything, the rest is no shard.
    pub refused: Vec<Refused>,
}

/// An image that the scan took for whole and the decoder refuses: its position in the catalog, and why. None is known; a
/// build that finds one begins anew without it, because every number after it was planned with it.
pub type Refused = (usize, Reject);

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

fn render_raw(
    inputs: ShardInputs<'_>,
    spec: &ShardSpec,
    mut buffer: Vec<u8>,
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<Rendered> {
    let config = inputs.config;
    let row = row_bytes(config.side);
    buffer.resize(spec.rows.len() * row, 0);
    let mut places = Vec::with_capacity(spec.samples.len());
    let mut rest = buffer.as_mut_slice();
    for part in spec.parts(inputs) {
        let (place, after) = rest.split_at_mut(part.rows.len() * row);
        places.push((part, place));
        rest = after;
    }
    let images = places
        .into_par_iter()
        .map(|(part, place)| {
            let mut rows = place.chunks_exact_mut(row);
            let image = render_image(inputs, &part, &mut |picture, crop| {
                let out = rows.next().context("a row without a place")?;
                resize_into(picture, crop, fit(config.fit), config.side, out)?;
                Ok(crc32fast::hash(out))
            });
            progress();
            image
        })
        .collect::<anyhow::Result<_>>()?;
    let (images, refused) = told_apart(images);
    Ok(Rendered {
        stored: buffer,
        offsets: Vec::new(),
        images,
        refused,
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
    type Encoded = (Vec<Vec<u8>>, Result<RenderedImage, Refused>);
    let rendered: Vec<Encoded> = spec
        .parts(inputs)
        .into_par_iter()
        .map_init(
            || vec![0; row_bytes(config.side)],
            |pixels, part| {
                let mut jpegs = Vec::new();
                let image = render_image(inputs, &part, &mut |picture, crop| {
                    resize_into(picture, crop, fit(config.fit), config.side, pixels)?;
                    let jpeg = encode(pixels, config.side, config.jpeg_quality)?;
                    let crc32 = crc32fast::hash(&jpeg);
                    jpegs.push(jpeg);
                    Ok(crc32)
                })?;
                progress();
                Ok((jpegs, image))
            },
        )
        .collect::<anyhow::Result<_>>()?;
    buffer.clear();
    let mut offsets = vec![0];
    let (jpegs, images): (Vec<_>, Vec<_>) = rendered.into_iter().unzip();
    for jpeg in jpegs.into_iter().flatten() {
        buffer.extend_from_slice(&jpeg);
        offsets.push(buffer.len() as u64);
    }
    let (images, refused) = told_apart(images);
    Ok(Rendered {
        stored: buffer,
        offsets,
        images,
        refused,
    })
}

fn told_apart(images: Vec<Result<RenderedImage, Refused>>) -> (Vec<RenderedImage>, Vec<Refused>) {
    let mut refused = Vec::new();
    let rendered = images.into_iter();
    let rendered = rendered.filter_map(|image| image.map_err(|one| refused.push(one)).ok());
    (rendered.collect(), refused)
}

/// Decodes one image and hands each of its rows to `put`, which stores it and returns its checksum.
fn render_image(
    inputs: ShardInputs<'_>,
    part: &Part,
    put: &mut dyn FnMut(&Picture, Crop) -> anyhow::Result<u32>,
) -> anyhow::Result<Result<RenderedImage, Refused>> {
    let (config, sample) = (inputs.config, inputs.raw(part.sample));
    let bytes = read_unchanged(&inputs.scan.root, &sample.image, sample.image_blake3)?;
    let seen = (sample.seen.width, sample.seen.height);
    // A box may be small in a picture that is large.
    let side = match config.region.objects() {
        true => u32::MAX,
        false => config.side,
    };
    let rendered = with_reduced(&bytes, side, |picture| {
        if (picture.width, picture.height) != seen {
            return Ok(None);
        }
        let (skip, n) = (part.rows.start, part.rows.len());
        let mut done = Vec::with_capacity(n);
        for object in rows(sample, config).skip(skip).take(n) {
            let crop = match object {
                None => Crop::whole(picture),
                Some((_, bbox)) => Crop::with_context(bbox, config.context, picture),
            };
            let crc32 = put(picture, crop)
                .with_context(|| format!("cannot fit {} to {} px", sample.image, config.side))?;
            let crop = shown(crop, fit(config.fit));
            done.push(RenderedRow { crop, crc32 });
        }
        anyhow::Ok(Some(RenderedImage {
            format: source_format(picture.format),
            rows: done,
        }))
    });
    let refused = |reason, detail| {
        let reject = Reject {
            path: sample.image.clone(),
            object: None,
            reason: reject_reason(reason),
            detail,
        };
        Ok(Err((part.sample, reject)))
    };
    match rendered {
        Ok(image) => match image? {
            Some(image) => Ok(Ok(image)),
            None => refused(
                logodex_pixels::Refused::Broken,
                format!(
                    "decoded to another size than the {} × {} of its header",
                    seen.0, seen.1
                ),
            ),
        },
        Err(DecodeError { reason, detail }) => refused(reason, detail),
    }
}

/// How a region becomes a square: the configuration's word in the resizer's.
fn fit(fit: dataset::Fit) -> Fit {
    match fit {
        dataset::Fit::Squash => Fit::Squash,
        dataset::Fit::Letterbox => Fit::Letterbox,
        dataset::Fit::Cover => Fit::Cover,
    }
}
