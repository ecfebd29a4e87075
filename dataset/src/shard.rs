//! One shard: a safetensors file, mapped, whose header is checked before anything is read through it.

use std::fs::File;
use std::path::{Path, PathBuf};

use logodex_schemas::dataset::{Encoding, Manifest, ShardEntry};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::dataset::DatasetError;

/// A mapped shard. Positions count from 0 within the shard.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    map: Mmap,
    first_row: u64,
    n_rows: usize,
    /// Where the rows begin in the file.
    rows_at: usize,
    /// Where each row begins, counted from there, and where the last ends.
    offsets: Vec<usize>,
    crc32: Vec<u32>,
    brand: Vec<i64>,
    row: Vec<i64>,
    image: Vec<i64>,
    object: Vec<i64>,
}

impl Shard {
    /// Maps `file` after its length was found to be the manifest's, and checks the tensors' names, types, shapes and
    /// bounds.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] for each of these.
    pub fn map(
        path: &Path,
        file: &File,
        entry: &ShardEntry,
        manifest: &Manifest,
    ) -> Result<Self, DatasetError> {
        let side_px = manifest.config.side as usize;
        let corrupt = |reason: String| DatasetError::corrupt(path, reason);
        let length = file.metadata().map_err(|e| corrupt(e.to_string()))?.len();
        if length != entry.bytes {
            return Err(corrupt(format!(
                "has {length} bytes, the manifest says {}: the file is truncated or was changed; build the dataset again",
                entry.bytes
            )));
        }
        // SAFETY: the mapping is read-only and shards are immutable once published; the length was checked above. A
        // shard that another process truncates while it is mapped would end this process, as with any mmap.
        let map = unsafe { Mmap::map(file) }.map_err(|e| corrupt(e.to_string()))?;

        let tensors = SafeTensors::deserialize(&map)
            .map_err(|e| corrupt(format!("not a valid safetensors file: {e:?}")))?;
        let n_rows = entry.n_rows as usize;
        let bytes_of = |name: &str, dtype: Dtype, shape: &[usize]| {
            let view = tensors
                .tensor(name)
                .map_err(|_| corrupt(format!("has no tensor `{name}`")))?;
            if view.dtype() != dtype || view.shape() != shape {
                return Err(corrupt(format!(
                    "tensor `{name}` is {:?} {:?}, expected {dtype:?} {shape:?}",
                    view.dtype(),
                    view.shape()
                )));
            }
            Ok(view.data())
        };
        let (rows, offsets) = match manifest.encoding {
            Encoding::Jpeg => {
                let n_bytes = tensors
                    .tensor("blob")
                    .map_err(|_| corrupt("has no tensor `blob`".to_owned()))?
                    .shape()
                    .iter()
                    .product();
                let blob = bytes_of("blob", Dtype::U8, &[n_bytes])?;
                let (chunks, _) = bytes_of("offsets", Dtype::U64, &[n_rows + 1])?.as_chunks();
                let offsets: Vec<u64> = chunks.iter().map(|b| u64::from_le_bytes(*b)).collect();
                let rising = offsets.windows(2).all(|pair| pair[0] < pair[1]);
                if !rising || offsets[n_rows] > n_bytes as u64 {
                    return Err(corrupt("its offsets do not divide its blob".to_owned()));
                }
                (
                    blob,
                    offsets.iter().map(|&offset| offset as usize).collect(),
                )
            }
            _ => {
                let images = bytes_of("images", Dtype::U8, &[n_rows, side_px, side_px, 3])?;
                let row_bytes = side_px * side_px * 3;
                (
                    images,
                    (0..=n_rows).map(|i| i * row_bytes).collect::<Vec<usize>>(),
                )
            }
        };
        let rows_at = rows.as_ptr() as usize - map.as_ptr() as usize;
        let crc32 = bytes_of("crc32", Dtype::U32, &[n_rows])?
            .as_chunks()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect();
        let column = |name| -> Result<Vec<i64>, DatasetError> {
            let (chunks, _) = bytes_of(name, Dtype::I64, &[n_rows])?.as_chunks();
            Ok(chunks.iter().map(|b| i64::from_le_bytes(*b)).collect())
        };
        let (brand, row) = (column("brand")?, column("row")?);
        let (image, object) = (column("image")?, column("object")?);
        Ok(Self {
            path: path.to_owned(),
            first_row: entry.first_row,
            n_rows,
            rows_at,
            offsets,
            crc32,
            brand,
            row,
            image,
            object,
            map,
        })
    }

    /// Compares the columns `row` and `brand` with what the manifest and `brands.csv` say; `brands` yields the brand
    /// of each row of the dataset in order and is advanced past this shard.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming the first row that differs.
    pub fn check_rows(&self, brands: &mut impl Iterator<Item = i64>) -> Result<(), DatasetError> {
        for position in 0..self.n_rows {
            let row = self.first_row + position as u64;
            if self.row[position] != row as i64 || Some(self.brand[position]) != brands.next() {
                return Err(DatasetError::corrupt(
                    &self.path,
                    format_args!(
                        "position {position} is row {} of brand {}, which contradicts the manifest or brands.csv",
                        self.row[position], self.brand[position]
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

    /// The row at `position` as stored: pixels `[side, side, 3]`, RGB, or a JPEG; not yet checked against its CRC-32.
    pub fn stored(&self, position: usize) -> &[u8] {
        &self.map[self.rows_at + self.offsets[position]..self.rows_at + self.offsets[position + 1]]
    }

    /// The CRC-32 that the stored row at `position` must have.
    pub fn crc32(&self, position: usize) -> u32 {
        self.crc32[position]
    }

    /// The source image's number at `position`.
    pub fn image_of(&self, position: usize) -> i64 {
        self.image[position]
    }

    /// The object's position in its annotation at `position`, -1 for a whole image.
    pub fn object_of(&self, position: usize) -> i64 {
        self.object[position]
    }
}
