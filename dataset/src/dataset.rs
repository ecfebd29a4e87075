//! An open dataset: its tables, and its rows by memory map.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use logodex_pixels::with_picture;
use logodex_schemas::dataset::{BoxRow, BrandRow, Encoding, Manifest, Region};
use logodex_schemas::split::Fold;
use rayon::prelude::*;

use crate::error::DatasetError;
use crate::shard::{Column, Shard};
use crate::split::Split;
use crate::tables::Tables;

/// An open dataset: rows of square RGB pictures, sorted by brand.
///
/// Opening reads and checks the tables and the header of each shard, but no pixel; a row's CRC-32 is checked when the row
/// is first touched. It can be shared between threads. See the [crate](crate) for examples.
#[derive(Debug)]
pub struct Dataset {
    tables: Tables,
    shards: Vec<Shard>,
}

impl Dataset {
    /// Opens `dir` and maps its shards.
    ///
    /// # Errors
    /// Those of [`Tables::open`] and [`Dataset::map`].
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        Self::map(Tables::open(dir)?)
    }

    /// Maps the shards of a dataset whose tables were read before.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when a shard does not match the manifest or the brands.
    pub fn map(tables: Tables) -> Result<Self, DatasetError> {
        let mut brand_of_row = tables
            .brands()
            .iter()
            .flat_map(|b| std::iter::repeat_n(b.index, b.n_rows as usize));
        let manifest = tables.manifest();
        let mut shards = Vec::with_capacity(manifest.shards.len());
        for entry in &manifest.shards {
            let shard = Shard::open(tables.dir(), entry, manifest)?;
            shard.check_rows(&mut brand_of_row)?;
            shards.push(shard);
        }
        drop(brand_of_row);
        Ok(Self { tables, shards })
    }

    /// What it says of itself, without its pixels.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The directory it was opened from.
    pub fn dir(&self) -> &Path {
        self.tables.dir()
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        self.tables.manifest()
    }

    /// BLAKE3 of `manifest.json`, hexadecimal: the dataset's identity.
    pub fn manifest_blake3(&self) -> &str {
        self.tables.manifest_blake3()
    }

    /// Side of the square pictures, pixels.
    pub fn side_px(&self) -> usize {
        self.manifest().config.side as usize
    }

    /// Bytes of one picture: side × side × 3.
    pub fn row_bytes(&self) -> usize {
        self.side_px() * self.side_px() * 3
    }

    /// Number of rows.
    pub fn n_rows(&self) -> u64 {
        self.manifest().counts.rows
    }

    /// Every brand, sorted by index; brand `i` is at position `i`.
    pub fn brands(&self) -> &[BrandRow] {
        self.tables.brands()
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

    /// See [`Tables::boxes`].
    ///
    /// # Errors
    /// As there.
    pub fn boxes(&self) -> Result<Option<Vec<BoxRow>>, DatasetError> {
        self.tables.boxes()
    }

    /// The number of the source image that a row was cut from: rows of one picture share it.
    ///
    /// # Panics
    /// If `row` is not below [`Self::n_rows`].
    pub fn image_of(&self, row: u64) -> i64 {
        self.number(Column::Image, row)
    }

    /// Whether a row shows one object rather than the whole picture.
    ///
    /// # Panics
    /// If `row` is not below [`Self::n_rows`].
    pub fn shows_object(&self, row: u64) -> bool {
        self.number(Column::Object, row) >= 0
    }

    /// The brand index of a row.
    ///
    /// # Panics
    /// If `row` is not below [`Self::n_rows`].
    pub fn brand_of(&self, row: u64) -> u32 {
        assert!(row < self.n_rows(), "row {row} of {}", self.n_rows());
        let next = self.brands().partition_point(|b| b.first_row <= row);
        // Brands without rows share their first row with their successor, so the last candidate holds the row.
        self.brands()[next - 1].index
    }

    /// The rows of these brands that show whole images, objects, or both, in row order.
    pub fn rows(&self, brands: &[&BrandRow], region: Region) -> Vec<u64> {
        let rows = brands
            .iter()
            .flat_map(|brand| brand.first_row..brand.first_row + brand.n_rows);
        rows.filter(|&row| match self.shows_object(row) {
            false => region.images(),
            true => region.objects(),
        })
        .collect()
    }

    /// A row as stored: pixels, or a JPEG where [`Manifest::encoding`] says so.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming shard and row when the bytes do not match their CRC-32;
    /// [`DatasetError::NoSuchRow`].
    pub fn stored(&self, row: u64) -> Result<&[u8], DatasetError> {
        let (shard, position) = self.locate(row)?;
        shard.stored(position)
    }

    /// The pixels of neighbouring rows where they lie, `[rows.len(), side, side, 3]`, each checked as by [`Self::stored`]. None
    /// where rows are JPEGs, or these are of several shards.
    ///
    /// # Errors
    /// Those of [`Self::stored`].
    pub fn stored_rows(&self, rows: Range<u64>) -> Result<Option<&[u8]>, DatasetError> {
        if rows.is_empty() {
            return Ok(Some(&[]));
        }
        let (shard, first) = self.locate(rows.start)?;
        let (last_shard, last) = self.locate(rows.end - 1)?;
        match std::ptr::eq(shard, last_shard) {
            true => shard.stored_rows(first..last + 1),
            false => Ok(None),
        }
    }

    /// The pixels of a row: `[side, side, 3]`, RGB.
    ///
    /// # Errors
    /// Those of [`Self::stored`]; [`DatasetError::Corrupt`] for a JPEG that cannot be decoded.
    pub fn pixels(&self, row: u64) -> Result<Cow<'_, [u8]>, DatasetError> {
        if self.manifest().encoding != Encoding::Jpeg {
            return self.stored(row).map(Cow::Borrowed);
        }
        let mut pixels = vec![0; self.row_bytes()];
        self.copy_pixels(row, &mut pixels)?;
        Ok(Cow::Owned(pixels))
    }

    /// Copies the pixels of `rows`, in that order, into `out`: `[rows.len(), side, side, 3]`, RGB. Rows are read, checked
    /// and decoded in parallel, and nothing is allocated.
    ///
    /// # Errors
    /// Those of [`Self::pixels`].
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn gather(&self, rows: &[u64], out: &mut [u8]) -> Result<(), DatasetError> {
        assert_eq!(out.len(), rows.len() * self.row_bytes());
        out.par_chunks_mut(self.row_bytes())
            .zip(rows)
            .try_for_each(|(pixels, &row)| self.copy_pixels(row, pixels))
    }

    fn copy_pixels(&self, row: u64, out: &mut [u8]) -> Result<(), DatasetError> {
        let (shard, position) = self.locate(row)?;
        let stored = shard.stored(position)?;
        match self.manifest().encoding {
            Encoding::Jpeg => {
                decode_into(stored, self.manifest().config.side, out).map_err(|reason| {
                    DatasetError::corrupt(shard.path(), format_args!("row {row}: {reason}"))
                })
            }
            _ => {
                out.copy_from_slice(stored);
                Ok(())
            }
        }
    }

    fn locate(&self, row: u64) -> Result<(&Shard, usize), DatasetError> {
        if row >= self.n_rows() {
            return Err(DatasetError::NoSuchRow {
                path: self.dir().to_owned(),
                row,
                n_rows: self.n_rows(),
            });
        }
        let next = self.shards.partition_point(|s| s.first_row() <= row);
        let shard = &self.shards[next - 1];
        Ok((shard, (row - shard.first_row()) as usize))
    }

    fn number(&self, column: Column, row: u64) -> i64 {
        match self.locate(row) {
            Ok((shard, position)) => shard.number(column, position),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Decodes a row of a JPEG shard: `out` is `[side, side, 3]`.
fn decode_into(jpeg: &[u8], side: u32, out: &mut [u8]) -> Result<(), String> {
    with_picture(jpeg, |picture| {
        if (picture.width, picture.height) != (side, side) {
            return Err(format!(
                "its JPEG is {} × {} pixels, not {side} × {side}",
                picture.width, picture.height
            ));
        }
        picture.write_rgb(out);
        Ok(())
    })
    .map_err(|error| error.detail)?
}
