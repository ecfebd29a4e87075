//! Renders, numbers and writes the shards, or uses again what an earlier build finished.

use std::sync::mpsc;

use super::built::Built;
use super::output::Output;
use super::output::journal::Finished;
use super::render;
use super::rendered::Outcome;
use super::shard_file::{self, ShardRows};
use crate::plan::sharding::{ShardInputs, ShardSpec};
use logodex_pixels::decode;
use logodex_pixels::{encode, resize};
use logodex_program::progress::StageProgress;

/// A shard that is rendered.
struct Unwritten {
    path: String,
    key: String,
    first_sample: usize,
    outcome: Outcome,
}

/// Renders and writes the shards: while one is written, the next is rendered, so that two are in memory. What an earlier
/// build finished from the same content is used again.
pub fn write_shards(
    inputs: ShardInputs<'_>,
    specs: &[ShardSpec],
    output: &Output,
) -> anyhow::Result<Built> {
    let ShardInputs {
        scan,
        catalog,
        config,
        ..
    } = inputs;
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
                    entry: shard_file::write(&stage, &shard.path, &rows, config.side)?,
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
        for spec in specs {
            let path = shard_path(next);
            let key = shard_key(inputs, spec, &built);
            let first_sample = spec.samples.start;
            if let Some(mut found) = output.reuse(&path, &key) {
                for image in &mut found.outcome.images {
                    image.sample = image.sample - found.first_sample + first_sample;
                }
                found.first_sample = first_sample;
                built.number(next, scan, catalog, &found.outcome);
                refused += found.outcome.rejects.len() as u64;
                for _ in spec.samples.clone() {
                    progress.step(total);
                }
                reused.push(found);
                next += 1;
                continue;
            }
            let buffer = buffers.try_recv().unwrap_or_default();
            let rendered = render::render(inputs, spec, buffer, &|| progress.step(total))?;
            refused += rendered.outcome.rejects.len() as u64;
            // An over-full list ends in an error, which names them all: decode on, write no more.
            let doomed = refused > config.max_rejects;
            let mut rows = built.number(next, scan, catalog, &rendered.outcome);
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
fn shard_key(inputs: ShardInputs<'_>, spec: &ShardSpec, before: &Built) -> String {
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
        before.rows.len(),
        before.next_image(),
    ]);
    let mut hasher = blake3::Hasher::new_derive_key("logodex shard 2");
    hasher.update(made_as.to_string().as_bytes());
    for sample in &inputs.catalog.samples[spec.samples.clone()] {
        let raw = &inputs.scan.samples[sample.raw];
        hasher.update(raw.image_blake3.as_bytes());
        hasher.update(raw.annotation_blake3.as_bytes());
        hasher.update(&sample.brand.to_le_bytes());
        hasher.update(raw.image.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// The path of a shard relative to the dataset.
fn shard_path(number: u32) -> String {
    format!("shards/{number:05}.safetensors")
}
