//! Cuts the catalog into shards: which images go into which, and how many rows each may come to have. Nothing is decoded
//! for it: a row is counted for every image and every usable box, as the configuration asks.

use std::ops::Range;

use logodex_schemas::dataset::{BuildConfig, Encoding, Region};

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
    /// Rows, if nothing is refused.
    pub slots: usize,
}

/// Bytes of one row.
pub fn row_bytes(side: u32) -> usize {
    side as usize * side as usize * 3
}

/// Rows that a sample makes if nothing is refused.
pub fn slots(sample: &RawSample, region: Region) -> usize {
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
pub fn shard_specs(inputs: ShardInputs<'_>) -> Vec<ShardSpec> {
    let config = inputs.config;
    let rows = match inputs.encoding {
        Encoding::Jpeg => JPEG_RATIO,
        _ => 1,
    };
    let capacity = rows * ((config.shard_mib as usize) << 20) / row_bytes(config.side);
    let mut shards: Vec<ShardSpec> = Vec::new();
    for i in 0..inputs.catalog.samples.len() {
        let n = slots(inputs.raw(i), config.region);
        match shards.last_mut() {
            Some(shard) if shard.slots + n <= capacity => {
                shard.slots += n;
                shard.samples.end = i + 1;
            }
            _ => shards.push(ShardSpec {
                samples: i..i + 1,
                slots: n,
            }),
        }
    }
    shards
}
