//! Reading a dataset: shards by memory map, lengths and headers checked before, each row's checksum on first touch.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use logodex_schemas::FormatError;
use logodex_schemas::dataset::{
    BrandRow, CatalogRow, Encoding, FileEntry, Manifest, ShardEntry, manifest_header,
};
use logodex_schemas::header::is_sealed;
use logodex_schemas::plan::{ConsolidationPlan, plan_header};
use memmap2::Mmap;
use serde::de::DeserializeOwned;

use crate::build::output::paths::MANIFEST;
use crate::build::parquet;
use crate::build::shard_file::{self as shard, Column, Layout};
use crate::config;
use crate::plan::sharding::row_bytes;
use logodex_pixels::decode::decode;
use logodex_program::failure::{corrupt, usage};

/// An open dataset.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    manifest: Manifest,
    manifest_blake3: String,
    brands: Vec<BrandRow>,
    shards: Vec<Shard>,
}

/// An open shard.
#[derive(Debug)]
pub(crate) struct Shard {
    entry: ShardEntry,
    map: Mmap,
    layout: Layout,
    /// Of a raw row.
    row_bytes: usize,
    /// A bit per row: its checksum was found right.
    checked: Vec<AtomicU64>,
}

/// Reads and validates a dataset's manifest, and returns it with its BLAKE3.
///
/// # Errors
/// Usage: no manifest, so no dataset. Corrupt: another version, or a manifest that contradicts itself.
pub fn read_manifest(root: &Path) -> anyhow::Result<(Manifest, String)> {
    let path = root.join(MANIFEST);
    let json = std::fs::read(&path).map_err(|error| {
        usage(format!(
            "{} is not a dataset: {}: {error}; make one with logodex-data build",
            root.display(),
            path.display()
        ))
    })?;
    let manifest: Manifest = manifest_header().parse(&json).map_err(|error| {
        let hint = if error.is::<FormatError>() {
            ""
        } else {
            ": the manifest is damaged"
        };
        corrupt(format!("{}: {error}{hint}", path.display()))
    })?;
    if !is_sealed(&json) {
        return Err(corrupt(format!(
            "{}: its seal is broken: the manifest was changed or is damaged; build again",
            path.display()
        )));
    }
    let lie = |what: String| Err(corrupt(format!("{}: {what}", path.display())));
    if let Some(problem) = config::invalid(&manifest.config) {
        return lie(problem);
    }
    let mut rows = 0;
    for entry in &manifest.shards {
        if !is_inside(&entry.path) {
            return lie(format!("shard {:?} lies outside the dataset", entry.path));
        }
        if entry.first_row != rows || entry.n_rows == 0 || entry.n_rows > u64::from(u32::MAX) {
            return lie(format!("{} does not continue at row {rows}", entry.path));
        }
        rows += entry.n_rows;
    }
    if rows != manifest.counts.rows {
        return lie(format!(
            "its shards hold {rows} rows, and it counts {}",
            manifest.counts.rows
        ));
    }
    if let Some(file) = manifest.files.keys().find(|file| !is_inside(file)) {
        return lie(format!("file {file:?} lies outside the dataset"));
    }
    let blake3 = blake3::hash(&json).to_hex().to_string();
    Ok((manifest, blake3))
}

/// Whether a relative path stays below the folder it is relative to.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// Reads a small file of a dataset and checks it against the manifest.
///
/// # Errors
/// Corrupt: it is missing, or its bytes are others.
pub(crate) fn read_listed(root: &Path, manifest: &Manifest, name: &str) -> anyhow::Result<Vec<u8>> {
    let path = root.join(name);
    let Some(FileEntry { bytes, blake3 }) = manifest.files.get(name) else {
        return Err(corrupt(format!(
            "{}: the manifest does not list it",
            path.display()
        )));
    };
    let content =
        std::fs::read(&path).map_err(|error| corrupt(format!("{}: {error}", path.display())))?;
    if content.len() as u64 != *bytes {
        return Err(corrupt(format!(
            "{}: {} bytes, and the manifest says {bytes}",
            path.display(),
            content.len()
        )));
    }
    if blake3::hash(&content).to_hex().as_str() != blake3 {
        return Err(corrupt(format!(
            "{}: its BLAKE3 is not the manifest's",
            path.display()
        )));
    }
    Ok(content)
}

/// Reads a dataset's catalog.
///
/// # Errors
/// Corrupt: it is missing or damaged.
pub(crate) fn read_catalog(root: &Path, manifest: &Manifest) -> anyhow::Result<Vec<CatalogRow>> {
    let name = "catalog.parquet";
    parquet::parse_catalog(&root.join(name), read_listed(root, manifest, name)?)
        .map_err(|error| corrupt(format!("{error:#}")))
}

/// Reads the plan that a dataset was built by.
///
/// # Errors
/// Corrupt: it is missing or damaged.
pub(crate) fn read_plan(root: &Path, manifest: &Manifest) -> anyhow::Result<ConsolidationPlan> {
    let name = "consolidation.json";
    plan_header()
        .parse(&read_listed(root, manifest, name)?)
        .map_err(|error| corrupt(format!("{}: {error}", root.join(name).display())))
}

/// Parses CSV with a header line.
///
/// # Errors
/// Corrupt: a line that does not fit the type.
pub(crate) fn parse_csv<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> anyhow::Result<Vec<T>> {
    csv::Reader::from_reader(bytes)
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| corrupt(format!("{}: {error}", path.display())))
}

/// Reads `brands.csv`, and checks that brands are dense and cover the rows in order.
///
/// # Errors
/// Corrupt: it is missing, damaged, or contradicts the manifest.
pub fn read_brands(root: &Path, manifest: &Manifest) -> anyhow::Result<Vec<BrandRow>> {
    let path = root.join("brands.csv");
    let brands: Vec<BrandRow> = parse_csv(&path, &read_listed(root, manifest, "brands.csv")?)?;
    let mut first_row = 0u64;
    for (index, brand) in (0..).zip(&brands) {
        if brand.index != index || brand.first_row != first_row {
            return Err(corrupt(format!(
                "{}: line {} does not continue the one before",
                path.display(),
                index + 2
            )));
        }
        first_row = first_row.saturating_add(brand.n_rows);
    }
    if first_row != manifest.counts.rows || brands.len() as u64 != manifest.counts.brands {
        return Err(corrupt(format!(
            "{}: its sums are not the manifest's counts",
            path.display()
        )));
    }
    Ok(brands)
}

impl Shard {
    /// Opens a shard: its length is checked before it is mapped, its header before anything is read.
    ///
    /// # Errors
    /// Corrupt: it is missing, of another length, or its header is not that of its rows.
    pub(crate) fn open(
        root: &Path,
        entry: &ShardEntry,
        manifest: &Manifest,
    ) -> anyhow::Result<Self> {
        let path = root.join(&entry.path);
        let wrong = |what: String| corrupt(format!("{}: {what}", path.display()));
        let file = File::open(&path).map_err(|error| wrong(error.to_string()))?;
        let bytes = file
            .metadata()
            .map_err(|error| wrong(error.to_string()))?
            .len();
        if bytes != entry.bytes {
            return Err(wrong(format!(
                "{bytes} bytes, and the manifest says {}",
                entry.bytes
            )));
        }
        // SAFETY: the file is opened for reading alone and a published shard is never written again; were another
        // process to truncate it, reading would raise SIGBUS, not give a wrong value.
        let map = unsafe { Mmap::map(&file) }
            .with_context(|| format!("cannot map {}", path.display()))?;
        let layout =
            shard::read_layout(&map, entry.n_rows, manifest.config.side, manifest.encoding)
                .map_err(wrong)?;
        let checked = (0..entry.n_rows.div_ceil(64))
            .map(|_| AtomicU64::new(0))
            .collect();
        Ok(Self {
            entry: entry.clone(),
            map,
            layout,
            row_bytes: row_bytes(manifest.config.side),
            checked,
        })
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The row at a position as stored, unchecked.
    pub(crate) fn stored(&self, position: usize) -> &[u8] {
        let rows = self.layout.rows;
        match self.layout.offsets {
            None => &self.map[rows + position * self.row_bytes..][..self.row_bytes],
            Some(at) => {
                let offset = |i: usize| shard::u64_at(&self.map, at + i * 8) as usize;
                &self.map[rows + offset(position)..rows + offset(position + 1)]
            }
        }
    }

    fn crc32(&self, position: usize) -> u32 {
        let begin = self.layout.crc32 + position * 4;
        u32::from_le_bytes(std::array::from_fn(|i| self.map[begin + i]))
    }

    /// An entry of a column.
    pub(crate) fn number(&self, column: Column, position: usize) -> i64 {
        shard::u64_at(&self.map, self.layout.column(column) + position * 8) as i64
    }

    /// Whether the row at a position has its checksum.
    pub(crate) fn is_intact(&self, position: usize) -> bool {
        crc32fast::hash(self.stored(position)) == self.crc32(position)
    }
}

impl Dataset {
    /// Opens a dataset.
    ///
    /// # Errors
    /// Usage: there is no dataset at this path. Corrupt: another version, or a file that is missing, of another length
    /// or with another header than the manifest promises.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let (manifest, manifest_blake3) = read_manifest(root)?;
        let brands = read_brands(root, &manifest)?;
        let shards = manifest
            .shards
            .iter()
            .map(|entry| Shard::open(root, entry, &manifest))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            root: root.to_owned(),
            manifest,
            manifest_blake3,
            brands,
            shards,
        })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// BLAKE3 of the manifest's bytes, hexadecimal: the dataset's name for splits and runs.
    pub fn manifest_blake3(&self) -> &str {
        &self.manifest_blake3
    }

    /// The brands, by index.
    pub fn brands(&self) -> &[BrandRow] {
        &self.brands
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.manifest.counts.rows
    }

    /// Whether there is no row: never so in a dataset that `build` made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row as stored: pixels or a JPEG. Its checksum is checked when it is first touched.
    ///
    /// # Errors
    /// Corrupt: the bytes do not have their checksum; names the shard and the row. A row that is not there.
    pub fn stored(&self, row: u64) -> anyhow::Result<&[u8]> {
        anyhow::ensure!(row < self.len(), "row {row} of {}", self.len());
        let shard = &self.shards[self
            .shards
            .partition_point(|shard| shard.entry.first_row <= row)
            - 1];
        let position = (row - shard.entry.first_row) as usize;
        let (word, bit) = (&shard.checked[position / 64], 1u64 << (position % 64));
        // Relaxed: the bit guards no other memory; at worst a row is checked twice.
        if word.load(Ordering::Relaxed) & bit == 0 {
            if !shard.is_intact(position) {
                return Err(corrupt(format!(
                    "{}: row {row} does not have its CRC-32; restore the file or build again",
                    self.root.join(&shard.entry.path).display()
                )));
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(shard.stored(position))
    }

    /// The pixels of a row, `[side, side, 3]` RGB.
    ///
    /// # Errors
    /// As [`Dataset::stored`]; a JPEG that cannot be decoded.
    pub fn image(&self, row: u64) -> anyhow::Result<Cow<'_, [u8]>> {
        let stored = self.stored(row)?;
        if self.manifest.encoding != Encoding::Jpeg {
            return Ok(Cow::Borrowed(stored));
        }
        let side = self.manifest.config.side;
        match decode(stored) {
            Ok(picture) if (picture.width, picture.height) == (side, side) => {
                Ok(Cow::Owned(picture.to_rgb()))
            }
            Ok(picture) => Err(corrupt(format!(
                "row {row} is {} × {} pixels, not {side} × {side}",
                picture.width, picture.height
            ))),
            Err(error) => Err(corrupt(format!("row {row}: {}", error.detail))),
        }
    }
}
