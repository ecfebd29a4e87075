//! Cuts the catalog into shards, and knows of each what it will hold, to the row: the scan has seen how large every image
//! is, so that nothing is decoded for it.
//!
//! Where a shard ends is chosen by hash among the brands that begin when it is half full or more, not by how full it is: an
//! image more or less moves no cut but, now and then, its own shard's, and all shards after it begin where they began.

use std::ops::Range;

use logodex_schemas::dataset::{BuildConfig, Encoding};

use super::catalog::Catalog;
use crate::raw::scan::{RawSample, Scan};

/// What all shards of a dataset are made from.
#[derive(Debug, Clone, Copy)]
pub struct ShardInputs<'a> {
    /// The raw tree.
    pub scan: &'a Scan,
    /// What is kept of it.
    pub catalog: &'a Catalog,
    /// The configuration.
    pub config: &'a BuildConfig,
    /// `raw` or `jpeg`.
    pub encoding: Encoding,
}

impl<'a> ShardInputs<'a> {
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
    pub fn raw(self, sample: usize) -> &'a RawSample {
        &self.scan.samples[self.catalog.samples[sample].raw]
    }
}

/// What a shard is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSpec {
    /// Samples of the catalog.
    pub samples: Range<usize>,
    /// Which of their rows, counted from the first row of the first sample. All of them, unless the shard holds a part of
    /// one image that has more rows than a shard.
    pub rows: Range<usize>,
    /// The dataset's number of its first row.
    pub first_row: u64,
    /// The dataset's number of its first row's image.
    pub first_image: u64,
    /// The brand of its first row.
    pub first_brand: u32,
}

/// A sample's rows in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The sample's position in the catalog.
    pub sample: usize,
    /// Which of its rows: at least one.
    pub rows: Range<usize>,
}

impl ShardSpec {
    /// What of each sample is in the shard; samples without rows are left out.
    pub fn parts(&self, inputs: ShardInputs<'_>) -> Vec<Part> {
        let mut first = 0;
        let mut parts = Vec::with_capacity(self.samples.len());
        for sample in self.samples.clone() {
            let n = rows(inputs.raw(sample), inputs.config).count();
            let (begin, end) = (self.rows.start.max(first), self.rows.end.min(first + n));
            if begin < end {
                parts.push(Part {
                    sample,
                    rows: begin - first..end - first,
                });
            }
            first += n;
        }
        parts
    }
}

/// Bytes of one row.
pub fn row_bytes(side: u32) -> usize {
    side as usize * side as usize * 3
}

/// An object's position in its annotation and its box within the image, `[x0, y0, x1, y1)`.
pub type BoxInImage = (u32, [u32; 4]);

/// The boxes of a sample's objects that can be used, clipped to its image.
fn boxes(sample: &RawSample) -> impl Iterator<Item = BoxInImage> {
    let size = (sample.seen.width, sample.seen.height);
    let objects = (0u32..).zip(&sample.parsed.objects);
    objects.filter_map(move |(position, object)| {
        let bbox = object.bbox.as_ref().ok()?.clip(size.0, size.1).ok()?;
        Some((position, bbox))
    })
}

fn is_small([x0, y0, x1, y1]: [u32; 4], config: &BuildConfig) -> bool {
    (x1 - x0).min(y1 - y0) < config.min_object_px
}

/// The rows that a sample makes, in their order: the object that each shows, none for the whole image.
pub fn rows<'a>(
    sample: &'a RawSample,
    config: &'a BuildConfig,
) -> impl Iterator<Item = Option<BoxInImage>> + 'a {
    let whole = config.region.images().then_some(None);
    let objects = config.region.objects().then(|| boxes(sample));
    let large = objects
        .into_iter()
        .flatten()
        .filter(|object| !is_small(object.1, config));
    whole.into_iter().chain(large.map(Some))
}

/// Objects that are too small to make a row, where objects make rows.
pub fn small_objects(inputs: ShardInputs<'_>) -> u64 {
    if !inputs.config.region.objects() {
        return 0;
    }
    let samples = (0..inputs.catalog.samples.len()).map(|i| inputs.raw(i));
    let small = samples.flat_map(boxes);
    small.filter(|b| is_small(b.1, inputs.config)).count() as u64
}

/// JPEG shards hold this many times more rows than raw ones of the same size, about.
const JPEG_RATIO: usize = 8;

/// With `auto`, raw shards may take this many bytes together.
const AUTO_RAW_BYTES: usize = 4 << 30;

/// What `encoding = "auto"` comes to for this catalog.
fn resolve_encoding(scan: &Scan, catalog: &Catalog, config: &BuildConfig) -> Encoding {
    let samples = catalog.samples.iter();
    let n = samples.map(|sample| rows(&scan.samples[sample.raw], config).count());
    match config.encoding {
        Encoding::Auto if n.sum::<usize>() * row_bytes(config.side) > AUTO_RAW_BYTES => {
            Encoding::Jpeg
        }
        Encoding::Auto => Encoding::Raw,
        encoding => encoding,
    }
}

/// The most rows of a shard: about `shard_mib`, and at least one.
fn capacity(config: &BuildConfig, encoding: Encoding) -> usize {
    let rows = match encoding {
        Encoding::Jpeg => JPEG_RATIO,
        _ => 1,
    };
    (rows * ((config.shard_mib as usize) << 20) / row_bytes(config.side)).max(1)
}

/// Cuts the catalog into shards of half to all of about `shard_mib`, in the order of the catalog, whole images each. An image
/// that has more rows than a shard gets shards of its own. No shard is without rows.
pub fn shard_specs(inputs: ShardInputs<'_>) -> Vec<ShardSpec> {
    let capacity = capacity(inputs.config, inputs.encoding);
    let n = inputs.catalog.samples.len();
    let counts: Vec<usize> = (0..n)
        .map(|i| rows(inputs.raw(i), inputs.config).count())
        .collect();
    let mut shards = Vec::new();
    let (mut first_row, mut first_image) = (0, 0);
    for samples in cut(&counts, capacity, |sample| rank(inputs, sample)) {
        let mut with_rows = samples.clone().filter(|&i| counts[i] > 0);
        let Some(first) = with_rows.next() else {
            continue;
        };
        let held: usize = counts[samples.clone()].iter().sum();
        for begin in (0..held).step_by(capacity) {
            let spec = ShardSpec {
                samples: samples.clone(),
                rows: begin..held.min(begin + capacity),
                first_row,
                first_image,
                first_brand: inputs.catalog.samples[first].brand,
            };
            first_row += spec.rows.len() as u64;
            shards.push(spec);
        }
        first_image += 1 + with_rows.count() as u64;
    }
    shards
}

/// How willingly a cut is made before a sample, the lowest most: first where a brand begins, then by a hash of the
/// name of brand or image, which knows nothing of what lies around.
fn rank(inputs: ShardInputs<'_>, sample: usize) -> (bool, [u8; 32]) {
    let samples = &inputs.catalog.samples;
    let within = sample > 0 && samples[sample - 1].brand == samples[sample].brand;
    let hash = match within {
        true => blake3::hash(inputs.raw(sample).image.as_bytes()),
        false => {
            let brand = &inputs.catalog.brands[samples[sample].brand as usize];
            blake3::hash(format!("{}/{}", brand.category, brand.name).as_bytes())
        }
    };
    (within, *hash.as_bytes())
}

/// Cuts a list of samples that have so many rows each: after a cut at least half of `capacity` is held, but for what is left
/// at the end and where a sample is large, and never more than `capacity`, but for a sample alone. Among the possible cuts
/// the one of the lowest rank is made.
fn cut<R: Ord>(counts: &[usize], capacity: usize, rank: impl Fn(usize) -> R) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let mut start = 0;
    while start < counts.len() {
        let (mut end, mut held) = (start, 0);
        let mut best: Option<(R, usize)> = None;
        while end < counts.len() && held + counts[end] <= capacity {
            held += counts[end];
            end += 1;
            if end < counts.len() && 2 * held >= capacity {
                let this = (rank(end), end);
                best = Some(match best {
                    Some(best) => best.min(this),
                    None => this,
                });
            }
        }
        let end = match best {
            _ if end == counts.len() => end,
            Some((_, end)) => end,
            None => end.max(start + 1),
        };
        cuts.push(start..end);
        start = end;
    }
    cuts
}

#[cfg(test)]
mod tests;
