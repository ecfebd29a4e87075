//! Renders and writes the shards, or uses again what an earlier build finished.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use super::built::{Written, shard_path, shard_rows};
use super::output::Output;
use super::output::journal::Finished;
use super::output::paths::SHARDS;
use super::render::{self, Refused, RenderedImage};
use super::shard_file::{self, ShardRows};
use crate::plan::sharding::{ShardInputs, ShardSpec};
use logodex_pixels::decode;
use logodex_pixels::{encode, resize};
use logodex_program::progress::StageProgress;
use writers::{beside, writers_for};

mod writers;

/// A shard that is rendered.
struct Unwritten {
    /// Its place among the specs.
    number: usize,
    key: String,
    rows: ShardRows,
    images: Vec<RenderedImage>,
}

/// Renders and writes the shards, several at once: while some are written, the next is rendered. What an earlier build
/// finished from the same content is used again.
///
/// # Errors
/// An image that changed since the scan, or what the file system reports.
pub fn write_shards(
    inputs: ShardInputs<'_>,
    specs: &[ShardSpec],
    output: &Output,
) -> anyhow::Result<Written> {
    let (scan, config) = (inputs.scan, inputs.config);
    let progress = StageProgress::new("decode");
    let total = inputs.catalog.samples.len() as u64;
    let found: Vec<(String, Option<Finished>)> = specs
        .iter()
        .map(|spec| {
            let key = shard_key(inputs, spec);
            let found = output.reuse(&key);
            if found.is_some() {
                spec.samples.clone().for_each(|_| progress.step(total));
            }
            (key, found)
        })
        .collect();
    let reused = found.iter().filter(|shard| shard.1.is_some()).count();
    let staged = output.stage().join(SHARDS);
    let journal = Mutex::new(output.journal()?);
    let (mut shards, mut to_render) = (Vec::new(), Vec::new());
    for (number, (key, found)) in found.into_iter().enumerate() {
        if found.is_none() {
            to_render.push((number, key));
        }
        shards.push(Mutex::new(found));
    }
    let buffers: Mutex<Vec<Vec<u8>>> = Mutex::default();
    let mut refused: Vec<Refused> = Vec::new();

    let write = |unwritten: Unwritten| {
        let Unwritten {
            number,
            key,
            mut rows,
            images,
        } = unwritten;
        let file = shard_file::write(&staged, &Finished::staged(&key), &rows, config.side);
        let file =
            file.with_context(|| output.dir().join(shard_path(number)).display().to_string())?;
        let finished = Finished { key, file, images };
        locked(&journal).note(&finished)?;
        *locked(&shards[number]) = Some(finished);
        locked(&buffers).push(std::mem::take(&mut rows.stored));
        Ok(())
    };
    beside(
        writers_for(rayon::current_num_threads()),
        write,
        |hand_over| {
            for (number, key) in to_render {
                let spec = &specs[number];
                let buffer = locked(&buffers).pop().unwrap_or_default();
                let rendered = render::render(inputs, spec, buffer, &|| progress.step(total))?;
                refused.extend(rendered.refused);
                // An over-full list ends in an error, which names them all: decode on, write no more.
                let doomed = (scan.rejects.len() + refused.len()) as u64 > config.max_rejects;
                if doomed || rendered.images.len() < spec.parts(inputs).len() {
                    continue;
                }
                let mut rows = shard_rows(inputs, spec, &rendered.images);
                rows.stored = rendered.stored;
                rows.offsets = rendered.offsets;
                let unwritten = Unwritten {
                    number,
                    key,
                    rows,
                    images: rendered.images,
                };
                if !hand_over(unwritten) {
                    break; // A writer failed, and says why.
                }
            }
            Ok(())
        },
    )?;
    let shards = shards
        .into_iter()
        .filter_map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(Written {
        shards: shards.collect(),
        reused,
        refused,
    })
}

fn locked<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hash of all that a shard's bytes and rows depend on.
fn shard_key(inputs: ShardInputs<'_>, spec: &ShardSpec) -> String {
    let config = inputs.config;
    let made_as = serde_json::json!([
        config.side,
        config.region,
        config.fit,
        inputs.encoding,
        config.jpeg_quality,
        config.context,
        config.min_object_px,
        decode::decoder_version(),
        encode::encoder_version(),
        resize::resizer_version(),
        spec.rows,
    ]);
    let mut hasher = blake3::Hasher::new_derive_key("logodex shard 3");
    hasher.update(made_as.to_string().as_bytes());
    for sample in &inputs.catalog.samples[spec.samples.clone()] {
        let raw = &inputs.scan.samples[sample.raw];
        hasher.update(raw.image_blake3.as_bytes());
        hasher.update(raw.annotation_blake3.as_bytes());
        // An image without rows may belong to a brand before the first.
        hasher.update(&sample.brand.wrapping_sub(spec.first_brand).to_le_bytes());
        hasher.update(raw.image.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
