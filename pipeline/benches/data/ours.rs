//! Our sides: the line as a build runs it, and its parts.

use std::hint::black_box;
use std::io::{BufWriter, Cursor, Write};
use std::path::{Path, PathBuf};

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::ImageDecoder;
use image::codecs::jpeg::JpegDecoder;
use logodex_dataset::Dataset;
use logodex_pipeline::build::render::{RenderedImage, render};
use logodex_pipeline::build::shard_file::{self, ShardRows};
use logodex_pipeline::plan::apply::apply;
use logodex_pipeline::plan::catalog::Catalog;
use logodex_pipeline::plan::consolidate::propose;
use logodex_pipeline::plan::sharding::{ShardInputs, row_bytes, shard_specs};
use logodex_pipeline::raw::scan::{Scan, scan};
use logodex_pixels::resize::{Crop, resize_into};
use logodex_pixels::{Fit, decode};
use logodex_schemas::dataset::BuildConfig;
use logodex_schemas::plan::Overrides;
use serde_json::{Value, json};

use crate::{BATCH, SIDE};

/// Scan and consolidation, as a build does them.
pub fn prepare(raw: &Path, config: &BuildConfig) -> anyhow::Result<(Scan, Catalog)> {
    let scan = scan(raw)?;
    let plan = propose(&scan, config, &Overrides::default())?;
    let catalog = apply(&scan, &plan)?;
    Ok((scan, catalog))
}

/// Renders shards and writes them. The tables of numbers are left at 0: they are 32 bytes a row. `buffer` is handed from
/// shard to shard, as in a build.
pub fn render_and_write(
    inputs: ShardInputs<'_>,
    shards: usize,
    folder: &Path,
    buffer: &mut Vec<u8>,
) -> anyhow::Result<usize> {
    let mut images = 0;
    let specs = shard_specs(inputs);
    for (i, spec) in specs.iter().take(shards).enumerate() {
        let rendered = render(inputs, spec, std::mem::take(buffer), &|| {})?;
        let rows = rendered.images.iter();
        let crc32: Vec<u32> = rows
            .flat_map(|image: &RenderedImage| image.rows.iter().map(|row| row.crc32))
            .collect();
        let column = vec![0; crc32.len()];
        images += crc32.len();
        let mut rows = ShardRows {
            stored: rendered.stored,
            offsets: Vec::new(),
            crc32,
            brand: column.clone(),
            row: column.clone(),
            image: column.clone(),
            object: column,
        };
        shard_file::write(
            folder,
            &format!("{i}.safetensors"),
            &rows,
            inputs.config.side,
        )?;
        *buffer = std::mem::take(&mut rows.stored);
    }
    Ok(images)
}

/// The least that can be done with our decoder and resizer: read, decode, resize. No hash, no check, nothing kept.
pub fn bare_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut out = vec![0; row_bytes(SIDE)];
    for path in paths {
        let bytes = std::fs::read(path)?;
        decode::with_reduced(&bytes, SIDE, |picture| {
            resize_into(picture, Crop::whole(picture), Fit::Squash, SIDE, &mut out)
        })
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.detail))??;
        black_box(&out);
    }
    Ok(())
}

/// The same with the fastest public crates: zune-jpeg behind `image`, and `fast_image_resize`. Buffers are kept.
pub fn crates_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let (mut resizer, mut pixels) = (Resizer::new(), Vec::new());
    let mut out = Image::new(SIDE, SIDE, PixelType::U8x3);
    for path in paths {
        let bytes = std::fs::read(path)?;
        let decoder = JpegDecoder::new(Cursor::new(&bytes))?;
        let (width, height) = decoder.dimensions();
        pixels.resize(decoder.total_bytes() as usize, 0);
        decoder.read_image(&mut pixels)?;
        let source = Image::from_slice_u8(width, height, &mut pixels, PixelType::U8x3)?;
        resizer.resize(&source, &mut out, &options)?;
        black_box(out.buffer());
    }
    Ok(())
}

/// Reads and decodes.
pub fn decode_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let bytes = std::fs::read(path)?;
        decode::with_picture(&bytes, |picture| {
            black_box(picture.plane(0));
        })
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.detail))?;
    }
    Ok(())
}

/// Reads and hashes, as `render` does to be sure that a file is the one that was scanned.
pub fn hash_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        black_box(blake3::hash(&std::fs::read(path)?));
    }
    Ok(())
}

/// What the scan does to each image: its hash, and a look at all of its entropy-coded data.
pub fn look_loop(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let bytes = std::fs::read(path)?;
        black_box(blake3::hash(&bytes));
        black_box(decode::look(&bytes).map_err(|error| anyhow::anyhow!(error.detail))?);
    }
    Ok(())
}

/// Copies whole batches of rows.
pub fn read_batches(
    dataset: &Dataset,
    batches: &[Vec<u64>],
    batch: &mut [u8],
) -> anyhow::Result<()> {
    for rows in batches {
        for (&row, place) in rows.iter().zip(batch.chunks_exact_mut(row_bytes(SIDE))) {
            place.copy_from_slice(dataset.stored(row)?);
        }
        black_box(&batch);
    }
    Ok(())
}

/// All rows in an order without order, in whole batches. (Fisher-Yates with Knuth's 64-bit generator.)
pub fn shuffled(n: u64) -> Vec<Vec<u64>> {
    let mut rows: Vec<u64> = (0..n).collect();
    let mut state = 42u64;
    for i in (1..rows.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        rows.swap(i, (state >> 33) as usize % (i + 1));
    }
    rows.chunks_exact(BATCH).map(<[u64]>::to_vec).collect()
}

/// Pixels for `peers.py` to compare: decoded and resized by us.
pub fn write_pixels(paths: &[PathBuf], scratch: &Path) -> anyhow::Result<Vec<Value>> {
    let file = |name: &str| anyhow::Ok(BufWriter::new(std::fs::File::create(scratch.join(name))?));
    let (mut ours, mut decoded) = (file("ours.u8")?, file("decoded.u8")?);
    let mut out = vec![0; row_bytes(SIDE)];
    let mut images = Vec::new();
    for path in paths {
        let picture =
            decode::decode(&std::fs::read(path)?).map_err(|error| anyhow::anyhow!(error.detail))?;
        resize_into(&picture, Crop::whole(&picture), Fit::Squash, SIDE, &mut out)?;
        ours.write_all(&out)?;
        decoded.write_all(&picture.to_rgb())?;
        images.push(json!([path, picture.width, picture.height]));
    }
    ours.flush()?;
    decoded.flush()?;
    Ok(images)
}
