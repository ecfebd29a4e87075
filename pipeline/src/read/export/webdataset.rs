//! WebDataset: tar files `<fold>-000000.tar` (`all-…` without a split). A sample is three files named by its row: `.cls` the
//! brand's index as text, `.json` the row of the catalog, and the row itself, `.jpg` as the shards store it or `.png` without
//! loss. Readers shuffle within a window only, so each fold's rows come in an order drawn from the seed. Times, owners and modes
//! are constants, so that the same dataset and seed give the same bytes.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use logodex_schemas::dataset::{CatalogRow, Encoding};
use logodex_schemas::random::derive;
use rayon::prelude::*;
use tar::{Builder, EntryType, Header};

use super::source::Source;
use logodex_program::progress::StageProgress;

/// A tar file is closed once it holds this many bytes.
const TAR_BYTES: u64 = 256 << 20;
/// Rows that are encoded at once, and held in memory.
const BATCH: usize = 256;

/// Writes the tar files and the lookup.
pub(super) fn write(source: &Source, seed: u64, dir: &Path) -> anyhow::Result<()> {
    let progress = StageProgress::new("export");
    for fold in ["train", "val", "test", "all"] {
        let mut rows: Vec<&CatalogRow> = source
            .catalog
            .iter()
            .filter(|row| source.fold_name(row.brand_index) == fold)
            .collect();
        rows.sort_by_cached_key(|row| (derive(seed, "webdataset", &[row.row]), row.row));
        let mut tar: Option<Tar> = None;
        let mut number = 0;
        for batch in rows.chunks(BATCH) {
            let samples: Vec<_> = batch
                .par_iter()
                .map(|row| {
                    progress.step(source.dataset.n_rows());
                    sample(source, row)
                })
                .collect::<anyhow::Result<_>>()?;
            for (row, files) in batch.iter().zip(samples) {
                let current = match &mut tar {
                    Some(current) => current,
                    None => {
                        let path = dir.join(format!("{fold}-{number:06}.tar"));
                        number += 1;
                        tar.insert(Tar::create(path)?)
                    }
                };
                for (extension, bytes) in &files {
                    current.append(&format!("{:09}.{extension}", row.row), bytes)?;
                }
                if current.bytes >= TAR_BYTES
                    && let Some(full) = tar.take()
                {
                    full.finish()?;
                }
            }
        }
        if let Some(last) = tar {
            last.finish()?;
        }
    }
    source.copy_listed("brand_to_index.csv", dir)
}

/// The files of a sample: extension and bytes.
fn sample(source: &Source, row: &CatalogRow) -> anyhow::Result<[(&'static str, Vec<u8>); 3]> {
    let (dataset, manifest) = (&source.dataset, source.dataset.manifest());
    let picture = match manifest.encoding {
        Encoding::Jpeg => ("jpg", dataset.stored(row.row)?.to_vec()),
        _ => ("png", png(&dataset.pixels(row.row)?, manifest.config.side)?),
    };
    Ok([
        ("cls", row.brand_index.to_string().into_bytes()),
        ("json", serde_json::to_vec(row)?),
        picture,
    ])
}

fn png(rgb: &[u8], side: u32) -> anyhow::Result<Vec<u8>> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(rgb, side, side, ExtendedColorType::Rgb8)
        .context("cannot encode a row")?;
    Ok(png)
}

/// A tar file that is being written.
struct Tar {
    path: PathBuf,
    builder: Builder<BufWriter<File>>,
    bytes: u64,
}

impl Tar {
    fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            builder: Builder::new(BufWriter::new(file)),
            path,
            bytes: 0,
        })
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.builder
            .append_data(&mut header, name, bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        // A header, and the content in blocks.
        self.bytes += 512 + (bytes.len() as u64).next_multiple_of(512);
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        self.builder
            .into_inner()
            .and_then(|writer| writer.into_inner().map_err(|error| error.into_error()))
            .map(drop)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
