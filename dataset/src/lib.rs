//! Reads a Logodex dataset: square pictures of logos, sorted by brand, with the splits that say which brands are for
//! training and which were never seen.
//!
//! `logodex-data build` writes such a directory. Its pictures lie in safetensors files (`shards/`), which are mapped into
//! memory; everything else is small tables. A [`Dataset`] is the whole, [`Tables`] is all but the pixels.
//!
//! # Examples
//!
//! Open a dataset and look at a row:
//!
//! ```
//! # mod tiny { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reader/tiny.rs")); }
//! # let temporary = tiny::small();
//! # let dir = temporary.path();
//! use logodex_dataset::Dataset;
//!
//! let dataset = Dataset::open(dir)?;
//! let pixels = dataset.pixels(7)?; // side × side × 3 bytes, RGB
//! assert_eq!(pixels.len(), dataset.side_px() * dataset.side_px() * 3);
//! let brand = &dataset.brands()[dataset.brand_of(7) as usize];
//! assert_eq!((brand.category.as_str(), brand.brand.as_str()), ("Food", "brand 01"));
//! # Ok::<(), logodex_dataset::DatasetError>(())
//! ```
//!
//! Gather a batch of a fold. The buffer is the caller's, so that it can be used again:
//!
//! ```
//! # mod tiny { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reader/tiny.rs")); }
//! # let temporary = tiny::small();
//! # let dir = temporary.path();
//! use logodex_dataset::{Dataset, Fold, Region};
//!
//! let dataset = Dataset::open(dir)?;
//! let split = dataset.split("s")?;
//! let test_brands = dataset.fold(&split, Fold::Test);
//! let rows = dataset.rows(&test_brands, Region::Image);
//!
//! let batch = &rows[..4];
//! let mut pixels = vec![0; batch.len() * dataset.row_bytes()];
//! dataset.gather(batch, &mut pixels)?; // in parallel
//! assert_eq!(pixels[..dataset.row_bytes()], *dataset.pixels(batch[0])?);
//! # Ok::<(), logodex_dataset::DatasetError>(())
//! ```
//!
//! Tell a slip from damage:
//!
//! ```
//! use std::path::Path;
//! use logodex_dataset::{Dataset, DatasetError};
//!
//! match Dataset::open(Path::new("no/such/folder")) {
//!     Err(DatasetError::NotFound { path, .. }) => assert_eq!(path, Path::new("no/such/folder")),
//!     other => panic!("{other:?}"),
//! }
//! ```
//!
//! # What is checked, and when
//!
//! Every file is distrusted. Opening compares the manifest with its seal and with itself, each table with its length and
//! BLAKE3 in the manifest, and each shard's length, header and columns with the manifest and the brands; none of it reads a
//! pixel. A flipped bit in a mapped file would go unseen, so each row's CRC-32 is compared when the row is first touched.
//! `logodex-data check` reads every byte. Whatever is found wrong is a [`DatasetError`] that names the file.
//!
//! Shards are ordinary safetensors files: any library for them reads them, too (see [`shard`]).

mod brands;
mod dataset;
mod error;
mod files;
mod manifest;
pub mod shard;
mod split;
mod tables;

pub use brands::read_brands;
pub use dataset::Dataset;
pub use error::DatasetError;
pub use files::{parse_csv, read_listed};
pub use manifest::{MANIFEST, read_manifest};
pub use split::Split;
pub use tables::Tables;

pub use logodex_schemas::dataset::{BoxRow, BrandRow, Encoding, Manifest, Region};
pub use logodex_schemas::split::Fold;
