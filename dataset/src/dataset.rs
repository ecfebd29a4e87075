//! A dataset directory, opened for training: the manifest, the brands, the shards by mmap and the splits.
//!
//! Every header is distrusted: hashes of the small files and lengths and layouts of the shards are checked before
//! the first row is served. A mapping never notices a flipped bit, so each sample's CRC-32 is checked when it is first
//! touched. polars and the reading of raw images stay in the pipeline; here are only serde, csv, mmap and the decoder of
//! JPEG shards.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use logodex_pixels::with_picture;
use logodex_schemas::dataset::{BrandRow, Encoding, Manifest, Region, ShardEntry, manifest_header};
use logodex_schemas::header::is_sealed;
use logodex_schemas::split::Fold;
use rayon::prelude::*;

use crate::shard::Shard;

pub use crate::split::Split;

/// Why a dataset or a split cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The path or the split does not exist: a slip in what was typed.
    #[error("{0}")]
    NotFound(String),
    /// Another format version, a hash or length that does not match, or contradicting files.
    #[error("{path}: {reason}")]
    Corrupt {
        /// The file.
        path: String,
        /// What is wrong, and what to do where that is not "build it again".
        reason: String,
    },
}

impl DatasetError {
    pub fn corrupt(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// What a dataset says of itself, without its pixels: the manifest and the brands.
#[derive(Debug)]
pub struct Tables {
    dir: PathBuf,
    manifest: Manifest,
    manifest_blake3: String,
    brands: Vec<BrandRow>,
}

/// An open dataset: rows of square u8 pictures, sorted by brand.
#[derive(Debug)]
pub struct Dataset {
    tables: Tables,
    shards: Vec<Shard>,
    /// One bit per row, set once the row's CRC has been found right.
    checked: Vec<AtomicU64>,
}

impl Tables {
    /// Reads the manifest and the brands of `dir`.
    ///
    /// # Errors
    /// [`DatasetError::NotFound`] when `dir` does not exist; [`DatasetError::Corrupt`] when it is no dataset of this
    /// version, or the two do not match each other.
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        if !dir.is_dir() {
            return Err(DatasetError::NotFound(format!(
                "{}: no such dataset directory; `logodex-data build` makes one",
                dir.display()
            )));
        }
        let path = dir.join("manifest.json");
        let bytes = read(
            &path,
            "a directory is a dataset only when it has its manifest; build it to the end with `logodex-data build`",
        )?;
        let manifest: Manifest = manifest_header()
            .parse(&bytes)
            .map_err(|e| DatasetError::corrupt(&path, e))?;
        if !is_sealed(&bytes) {
            return Err(DatasetError::corrupt(
                &path,
                "its seal is broken: it was changed or is damaged; build the dataset again",
            ));
        }
        Ok(Self {
            dir: dir.to_owned(),
            manifest_blake3: blake3::hash(&bytes).to_hex().to_string(),
            brands: read_brands(dir, &manifest)?,
            manifest,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the dataset says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The split `splits/<name>.csv` with its `.json`.
    ///
    /// # Errors
    /// [`DatasetError::NotFound`], listing the splits that exist; [`DatasetError::Corrupt`] when it was drawn for
    /// another dataset, was edited since, or does not list exactly this dataset's brands.
    pub fn split(&self, name: &str) -> Result<Split, DatasetError> {
        Split::open(&self.dir, name, &self.manifest_blake3, &self.brands)
    }

    /// The brands of a fold, with their ranges of rows, sorted by index.
    pub fn fold(&self, split: &Split, fold: Fold) -> Vec<&BrandRow> {
        let folds = split.folds();
        self.brands
            .iter()
            .filter(|brand| folds[brand.index as usize] == Some(fold))
            .collect()
    }
}

impl Dataset {
    /// Opens `dir` and maps its shards.
    ///
    /// # Errors
    /// Those of [`Tables::open`] and [`Dataset::map`].
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        Self::map(Tables::open(dir)?)
    }

    /// Maps the shards.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when a shard does not match the manifest or the brands.
    pub fn map(tables: Tables) -> Result<Self, DatasetError> {
        let shards = open_shards(&tables.dir, &tables.manifest, &tables.brands)?;
        let words = (tables.manifest.counts.rows as usize).div_ceil(64);
        Ok(Self {
            tables,
            shards,
            checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The directory it was opened from.
    pub fn dir(&self) -> &Path {
        &self.tables.dir
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.tables.manifest
    }

    /// BLAKE3 of `manifest.json`, hexadecimal: the dataset's identity.
    pub fn manifest_blake3(&self) -> &str {
        &self.tables.manifest_blake3
    }

    /// Side of the square pictures, pixels.
    pub fn side_px(&self) -> usize {
        self.tables.manifest.config.side as usize
    }

    /// Bytes of one picture: side × side × 3.
    pub fn row_bytes(&self) -> usize {
        self.side_px() * self.side_px() * 3
    }

    /// Number of rows.
    pub fn n_rows(&self) -> u64 {
        self.tables.manifest.counts.rows
    }

    /// Every brand, sorted by index; brand `i` is at position `i`.
    pub fn brands(&self) -> &[BrandRow] {
        &self.tables.brands
    }

    /// See [`Tables::split`].
    ///
    /// # Errors
    /// As there.
    pub fn split(&self, name: &str) -> Result<Split, DatasetError> {
        self.tables.split(name)
    }

    /// See [`Tables::fold`].
    pub fn fold(&self, split: &Split, fold: Fold) -> Vec<&BrandRow> {
        self.tables.fold(split, fold)
    }

    /// The number of the source image that a row was cut from: rows of one picture share it.
    ///
    /// # Panics
    /// If `row` is not below [`Self::n_rows`].
    pub fn image_of(&self, row: u64) -> i64 {
        let (shard, position) = self.locate(row);
        shard.image_of(position)
    }

    /// Whether a row shows one object rather than the whole picture.
    ///
    /// # Panics
    /// If `row` is not below [`Self::n_rows`].
    pub fn shows_object(&self, row: u64) -> bool {
        let (shard, position) = self.locate(row);
        shard.object_of(position) >= 0
    }

    /// The brand index of a row.
    ///
    /// # Panics
    /// If `row` is not below [`Self::n_rows`].
    pub fn brand_of(&self, row: u64) -> u32 {
        assert!(row < self.n_rows(), "row {row} is outside the dataset");
        let next = self.tables.brands.partition_point(|b| b.first_row <= row);
        // Brands without rows share their first row with their successor, so the last candidate holds the row.
        self.tables.brands[next - 1].index
    }

    /// Copies the pictures of `rows`, in that order, into `out`: `[rows.len(), side, side, 3]`, RGB.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming shard and row when a picture does not match its CRC-32.
    ///
    /// # Panics
    /// If a row is outside the dataset or `out` has another length.
    pub fn gather(&self, rows: &[u64], out: &mut [u8]) -> Result<(), DatasetError> {
        assert_eq!(out.len(), rows.len() * self.row_bytes());
        out.par_chunks_mut(self.row_bytes())
            .zip(rows)
            .try_for_each(|(pixels, &row)| {
                let stored = self.stored(row)?;
                match self.tables.manifest.encoding {
                    Encoding::Jpeg => decode_into(stored, self.tables.manifest.config.side, pixels)
                        .map_err(|reason| {
                            let (shard, _) = self.locate(row);
                            DatasetError::corrupt(shard.path(), format_args!("row {row}: {reason}"))
                        }),
                    _ => {
                        pixels.copy_from_slice(stored);
                        Ok(())
                    }
                }
            })
    }

    /// The rows of these brands that show whole images, objects, or both, in row order.
    pub fn rows(&self, brands: &[&BrandRow], region: Region) -> Vec<u64> {
        let rows = brands
            .iter()
            .flat_map(|brand| brand.first_row..brand.first_row + brand.n_rows);
        rows.filter(|&row| {
            let (shard, position) = self.locate(row);
            match shard.object_of(position) {
                -1 => region.images(),
                _ => region.objects(),
            }
        })
        .collect()
    }

    fn stored(&self, row: u64) -> Result<&[u8], DatasetError> {
        let (shard, position) = self.locate(row);
        let pixels = shard.stored(position);
        let (word, bit) = ((row / 64) as usize, 1 << (row % 64));
        // Two threads may both check a row on its first touch: wasted work, never a wrong answer.
        if self.checked[word].load(Ordering::Relaxed) & bit == 0 {
            if crc32fast::hash(pixels) != shard.crc32(position) {
                return Err(DatasetError::corrupt(
                    shard.path(),
                    format_args!(
                        "row {row} (position {position} in the shard) does not match its CRC-32: the file is damaged; build the dataset again"
                    ),
                ));
            }
            self.checked[word].fetch_or(bit, Ordering::Relaxed);
        }
        Ok(pixels)
    }

    fn locate(&self, row: u64) -> (&Shard, usize) {
        assert!(row < self.n_rows(), "row {row} is outside the dataset");
        let next = self.shards.partition_point(|s| s.first_row() <= row);
        let shard = &self.shards[next - 1];
        (shard, (row - shard.first_row()) as usize)
    }
}

/// Decodes a row of a JPEG shard: `out` is `[side, side, 3]`.
fn decode_into(jpeg: &[u8], side: u32, out: &mut [u8]) -> Result<(), String> {
    with_picture(jpeg, |picture| {
        if (picture.width, picture.height) != (side, side) {
            return Err(format!("its JPEG is not {side} × {side} pixels"));
        }
        picture.write_rgb(out);
        Ok(())
    })
    .map_err(|error| error.detail)?
}

/// Reads a file of a dataset whole; `hint` says what its absence means.
pub fn read(path: &Path, hint: &str) -> Result<Vec<u8>, DatasetError> {
    std::fs::read(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => DatasetError::corrupt(path, format_args!("missing: {hint}")),
        _ => DatasetError::corrupt(path, e),
    })
}

fn read_brands(dir: &Path, manifest: &Manifest) -> Result<Vec<BrandRow>, DatasetError> {
    let path = dir.join("brands.csv");
    let bytes = read(&path, "the dataset is incomplete; build it again")?;
    match manifest.files.get("brands.csv") {
        Some(entry) if entry.blake3 == blake3::hash(&bytes).to_hex().as_str() => {}
        Some(_) => {
            return Err(DatasetError::corrupt(
                &path,
                "does not match its BLAKE3 in the manifest; it was changed after the dataset was built",
            ));
        }
        None => {
            return Err(DatasetError::corrupt(
                &path,
                "the manifest does not list it",
            ));
        }
    }
    let brands: Vec<BrandRow> = csv::Reader::from_reader(bytes.as_slice())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|e| DatasetError::corrupt(&path, e))?;
    let mut next_row = 0u64;
    for (position, brand) in brands.iter().enumerate() {
        if brand.index as usize != position || brand.first_row != next_row {
            return Err(DatasetError::corrupt(
                &path,
                format_args!(
                    "brand {:?} breaks the order: indices and rows must be dense and sorted",
                    brand.brand
                ),
            ));
        }
        next_row = brand
            .first_row
            .checked_add(brand.n_rows)
            .ok_or_else(|| DatasetError::corrupt(&path, "the numbers of rows overflow"))?;
    }
    if brands.len() as u64 != manifest.counts.brands || next_row != manifest.counts.rows {
        return Err(DatasetError::corrupt(
            &path,
            format_args!(
                "lists {} brands and {next_row} rows, the manifest {} and {}",
                brands.len(),
                manifest.counts.brands,
                manifest.counts.rows
            ),
        ));
    }
    Ok(brands)
}

fn open_shards(
    dir: &Path,
    manifest: &Manifest,
    brands: &[BrandRow],
) -> Result<Vec<Shard>, DatasetError> {
    let mut brand_of_row = brands
        .iter()
        .flat_map(|b| std::iter::repeat_n(i64::from(b.index), b.n_rows as usize));
    let mut next_row = 0u64;
    let mut shards = Vec::with_capacity(manifest.shards.len());
    for entry in &manifest.shards {
        let path = shard_path(dir, entry)?;
        if entry.first_row != next_row || entry.n_rows == 0 {
            return Err(DatasetError::corrupt(
                &dir.join("manifest.json"),
                format_args!("shard {} does not follow its predecessor", entry.path),
            ));
        }
        let file = File::open(&path).map_err(|e| {
            DatasetError::corrupt(&path, format_args!("{e}; build the dataset again"))
        })?;
        let shard = Shard::map(&path, &file, entry, manifest)?;
        shard.check_rows(&mut brand_of_row)?;
        next_row += entry.n_rows;
        shards.push(shard);
    }
    if next_row != manifest.counts.rows {
        return Err(DatasetError::corrupt(
            &dir.join("manifest.json"),
            format_args!(
                "the shards hold {next_row} rows, the manifest counts {}",
                manifest.counts.rows
            ),
        ));
    }
    Ok(shards)
}

/// The shard's place below `dir`; a path that leads elsewhere is refused.
fn shard_path(dir: &Path, entry: &ShardEntry) -> Result<PathBuf, DatasetError> {
    let relative = Path::new(&entry.path);
    let inside = relative
        .components()
        .all(|c| matches!(c, std::path::Component::Normal(_)));
    if !inside || entry.path.is_empty() {
        return Err(DatasetError::corrupt(
            &dir.join("manifest.json"),
            format_args!("shard path {:?} leads out of the dataset", entry.path),
        ));
    }
    Ok(dir.join(relative))
}
