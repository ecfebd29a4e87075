//! Maps a shard, and serves its rows, each checked against its CRC-32 when it is first touched.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use logodex_schemas::dataset::{Manifest, ShardEntry};
use memmap2::Mmap;

use super::layout::{Column, Layout, read_layout, u64_at};
use crate::error::DatasetError;

/// An open shard. Positions count its rows from 0; a position beyond the last panics.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    first_row: u64,
    first_image: u64,
    first_brand: u32,
    n_rows: usize,
    /// Of a raw row.
    row_bytes: usize,
    map: Mmap,
    layout: Layout,
    /// A bit per row: its checksum was found right.
    checked: Vec<AtomicU64>,
}

impl Shard {
    /// Opens a shard of the dataset in `dir`: its length is checked before it is mapped, and its header, offsets, checksums
    /// and numbers before anything is read. `manifest` must be one that [`read_manifest`](crate::read_manifest) found good.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when it is missing, of another length, its header is not that of its rows, or its numbers
    /// are not those that the manifest seals.
    pub fn open(dir: &Path, entry: &ShardEntry, manifest: &Manifest) -> Result<Self, DatasetError> {
        let path = dir.join(&entry.path);
        let side = manifest.config.side;
        let wrong = |what: String| DatasetError::corrupt(&path, what);
        let file = File::open(&path)
            .map_err(|error| wrong(format!("{error}; build the dataset again")))?;
        let bytes = file.metadata().map_err(|e| wrong(e.to_string()))?.len();
        if bytes != entry.bytes {
            return Err(wrong(format!(
                "has {bytes} bytes, the manifest says {}: the file is truncated or was changed; build the dataset again",
                entry.bytes
            )));
        }
        // SAFETY: the mapping is read-only and a published shard is never written again; the length was checked above.
        // Were another process to truncate it, reading would raise SIGBUS, not give a wrong value.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| wrong(format!("cannot map: {e}")))?;
        let layout = read_layout(&map, entry.n_rows, side, manifest.encoding).map_err(wrong)?;
        let columns = blake3::hash(&map[layout.columns_begin..]).to_hex();
        if columns.as_str() != entry.columns_blake3 {
            return Err(wrong(
                "its checksums and numbers are not those of the manifest: it is damaged, or another shard; build the dataset again"
                    .to_owned(),
            ));
        }
        let words = entry.n_rows.div_ceil(64);
        Ok(Self {
            path,
            first_row: entry.first_row,
            first_image: entry.first_image,
            first_brand: entry.first_brand,
            n_rows: entry.n_rows as usize,
            row_bytes: side as usize * side as usize * 3,
            map,
            layout,
            checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Compares the columns `row` and `brand` with what the manifest and `brands.csv` say; `brands` yields the brand
    /// of each row of the dataset in order and is advanced past this shard.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming the first row that differs.
    pub fn check_rows(&self, brands: &mut impl Iterator<Item = u32>) -> Result<(), DatasetError> {
        for position in 0..self.n_rows {
            let row = self.number(Column::Row, position);
            let brand = self.number(Column::Brand, position);
            let expected = brands.next().map(i64::from);
            if row != (self.first_row + position as u64) as i64 || Some(brand) != expected {
                return Err(DatasetError::corrupt(
                    &self.path,
                    format_args!(
                        "position {position} is row {row} of brand {brand}, which contradicts the manifest or brands.csv"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The dataset's row at position 0.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// An entry of a column, as the dataset counts: brands, rows and images from its first.
    pub fn number(&self, column: Column, position: usize) -> i64 {
        self.assert_holds(position);
        let first = match column {
            Column::Brand => i64::from(self.first_brand),
            Column::Row => self.first_row as i64,
            Column::Image => self.first_image as i64,
            Column::Object => 0,
        };
        let here = u64_at(&self.map, self.layout.column(column) + position * 8) as i64;
        first.wrapping_add(here)
    }

    /// The row at a position as stored: pixels or a JPEG. Its checksum is checked when it is first touched.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming the row whose bytes do not have their CRC-32.
    pub fn stored(&self, position: usize) -> Result<&[u8], DatasetError> {
        self.assert_holds(position);
        let (word, bit) = (&self.checked[position / 64], 1u64 << (position % 64));
        // Relaxed: the bit guards no other memory; at worst a row is checked twice.
        if word.load(Ordering::Relaxed) & bit == 0 {
            if !self.is_intact(position) {
                let row = self.first_row + position as u64;
                return Err(DatasetError::corrupt(
                    &self.path,
                    format_args!(
                        "row {row} (position {position} in the shard) does not match its CRC-32: the file is damaged; build the dataset again"
                    ),
                ));
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(self.unchecked(position))
    }

    /// Rows of pixels side by side, `[N, side, side, 3]`, each checked as by [`Self::stored`]. None of a shard of JPEGs.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn stored_rows(&self, positions: Range<usize>) -> Result<Option<&[u8]>, DatasetError> {
        if self.layout.offsets.is_some() {
            return Ok(None);
        }
        for position in positions.clone() {
            self.stored(position)?;
        }
        let begin = self.layout.rows + positions.start * self.row_bytes;
        Ok(Some(&self.map[begin..][..positions.len() * self.row_bytes]))
    }

    /// Whether the row at a position has its checksum now, whatever was found before.
    pub fn is_intact(&self, position: usize) -> bool {
        self.assert_holds(position);
        let begin = self.layout.crc32 + position * 4;
        let crc32 = u32::from_le_bytes(std::array::from_fn(|i| self.map[begin + i]));
        crc32fast::hash(self.unchecked(position)) == crc32
    }

    fn unchecked(&self, position: usize) -> &[u8] {
        let rows = self.layout.rows;
        match self.layout.offsets {
            None => &self.map[rows + position * self.row_bytes..][..self.row_bytes],
            Some(at) => {
                let offset = |i: usize| u64_at(&self.map, at + i * 8) as usize;
                &self.map[rows + offset(position)..rows + offset(position + 1)]
            }
        }
    }

    fn assert_holds(&self, position: usize) {
        let (n, path) = (self.n_rows, self.path.display());
        assert!(position < n, "{path}: position {position} of {n}");
    }
}
