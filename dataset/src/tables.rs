//! What a dataset says of itself, without its pixels.

use std::path::{Path, PathBuf};

use logodex_schemas::dataset::{BoxRow, BrandRow, ImageRow, Manifest};
use logodex_schemas::split::Fold;
use serde::de::DeserializeOwned;

use crate::brands::read_brands;
use crate::error::DatasetError;
use crate::files::{parse_csv, read_listed};
use crate::manifest::read_manifest;
use crate::split::Split;

/// A dataset's manifest and brands, and the way to its other tables. Nothing of it touches a shard.
#[derive(Debug)]
pub struct Tables {
    dir: PathBuf,
    manifest: Manifest,
    manifest_blake3: String,
    brands: Vec<BrandRow>,
}

impl Tables {
    /// Reads the manifest and the brands of `dir`.
    ///
    /// # Errors
    /// Those of [`read_manifest`] and [`read_brands`].
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        let (manifest, manifest_blake3) = read_manifest(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            brands: read_brands(dir, &manifest)?,
            manifest,
            manifest_blake3,
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

    /// BLAKE3 of `manifest.json`, hexadecimal: the dataset's identity, by which splits and runs know it.
    pub fn manifest_blake3(&self) -> &str {
        &self.manifest_blake3
    }

    /// Every brand, sorted by index; brand `i` is at position `i`.
    pub fn brands(&self) -> &[BrandRow] {
        &self.brands
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

    /// See [`read_listed`].
    ///
    /// # Errors
    /// As there.
    pub fn listed(&self, name: &str) -> Result<Vec<u8>, DatasetError> {
        read_listed(&self.dir, &self.manifest, name)
    }

    /// The rows of a CSV file that the manifest lists.
    ///
    /// # Errors
    /// As [`read_listed`]; [`DatasetError::Corrupt`] for a line that does not fit the type.
    pub fn listed_csv<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, DatasetError> {
        parse_csv(&self.dir.join(name), &self.listed(name)?)
    }

    /// The boxes that each row shows, by row; none in a dataset that an earlier version built.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when `boxes.csv` is not the file that the manifest lists, or not of these rows.
    pub fn boxes(&self) -> Result<Option<Vec<BoxRow>>, DatasetError> {
        if !self.manifest.files.contains_key("boxes.csv") {
            return Ok(None);
        }
        let rows: Vec<BoxRow> = self.listed_csv("boxes.csv")?;
        let dense = (0..).zip(&rows).all(|(i, row)| row.row == i);
        match dense && rows.len() as u64 == self.manifest.counts.rows {
            true => Ok(Some(rows)),
            false => Err(DatasetError::corrupt(
                &self.dir.join("boxes.csv"),
                "does not list the dataset's rows in order",
            )),
        }
    }

    /// The content of each source image that has rows, by its number; none in a dataset that an earlier version built.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when `images.csv` is not the file that the manifest lists, or lists other than numbers from 0
    /// on and a BLAKE3 each.
    pub fn images(&self) -> Result<Option<Vec<ImageRow>>, DatasetError> {
        if !self.manifest.files.contains_key("images.csv") {
            return Ok(None);
        }
        let images: Vec<ImageRow> = self.listed_csv("images.csv")?;
        let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let fits = (0..)
            .zip(&images)
            .all(|(i, row)| row.image == i && is_hash(&row.blake3));
        match fits {
            true => Ok(Some(images)),
            false => Err(DatasetError::corrupt(
                &self.dir.join("images.csv"),
                "does not list a BLAKE3 for each image in order",
            )),
        }
    }
}
