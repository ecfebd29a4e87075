//! Small pictures of what is enrolled, made from where it was taken.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use jpeg_encoder::{ColorType, Encoder};
use logodex_dataset::Dataset;
use logodex_pixels::{Crop, Fit, resize_into, with_picture};
use logodex_schemas::gallery::{GalleryPicture, PictureSource};

use crate::gallery::store::Store;

/// The longer side, pixels: twice what the page shows, for screens that have twice the pixels.
const SIDE: u32 = 176;
const QUALITY: u8 = 82;
/// How many are kept: some 30 MB.
const KEPT: usize = 4096;

/// A picture's name in addresses: its file and the part shown. It stays the same while the gallery changes.
pub fn id(picture: &GalleryPicture) -> String {
    let [x, y, width, height] = picture.crop;
    let file = picture.blake3.get(..24).unwrap_or(&picture.blake3);
    format!("{file}-{x}-{y}-{width}-{height}")
}

/// Makes and keeps them.
#[derive(Debug, Default)]
pub struct Thumbnails {
    kept: Mutex<HashMap<String, Bytes>>,
    datasets: Mutex<HashMap<PathBuf, Arc<Dataset>>>,
}

impl Thumbnails {
    /// A picture as JPEG. Reads and decodes; `store` is where its gallery lies.
    ///
    /// # Errors
    /// Its source is gone, or is another file by now.
    pub fn jpeg(&self, picture: &GalleryPicture, store: &Store) -> Result<Bytes> {
        let id = id(picture);
        if let Some(jpeg) = lock(&self.kept).get(&id) {
            return Ok(jpeg.clone());
        }
        let jpeg: Bytes = match &picture.source {
            PictureSource::File { path } => file(picture, &store.picture(path))?.into(),
            PictureSource::Row {
                dataset,
                manifest_blake3,
                row,
            } => self.row(Path::new(dataset), manifest_blake3, *row)?.into(),
        };
        let mut kept = lock(&self.kept);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(id, jpeg.clone());
        Ok(jpeg)
    }

    fn row(&self, dir: &Path, manifest: &str, row: u64) -> Result<Vec<u8>> {
        let known = lock(&self.datasets).get(dir).cloned();
        let dataset = match known.filter(|dataset| dataset.manifest_blake3() == manifest) {
            Some(dataset) => dataset,
            None => {
                let dataset = Arc::new(Dataset::open(dir)?);
                lock(&self.datasets).insert(dir.to_owned(), Arc::clone(&dataset));
                dataset
            }
        };
        ensure!(
            dataset.manifest_blake3() == manifest,
            "{}: it is another dataset than the one enrolled from",
            dir.display()
        );
        let side = dataset.side_px() as u16;
        encoded(&dataset.pixels(row)?, side, side)
    }
}

fn file(picture: &GalleryPicture, path: &Path) -> Result<Vec<u8>> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(name)?;
    ensure!(
        blake3::hash(&bytes).to_hex().as_str() == picture.blake3,
        "{}: it is another file than the one enrolled",
        path.display()
    );
    let [x, y, width, height] = picture.crop;
    let crop = Crop {
        x,
        y,
        width,
        height,
    };
    let mut square = vec![0; (SIDE * SIDE * 3) as usize];
    with_picture(&bytes, |picture| {
        resize_into(picture, crop, Fit::Letterbox, SIDE, &mut square)
    })
    .with_context(name)??;
    // Without the bars that a letterbox has above and below, or at the sides.
    let longer = f64::from(width.max(height));
    let scaled = |length: u32| {
        let exact = f64::from(length) * f64::from(SIDE) / longer;
        (exact.round() as u32).clamp(1, SIDE)
    };
    let (width, height) = (scaled(width), scaled(height));
    let (left, top) = ((SIDE - width) / 2, (SIDE - height) / 2);
    let rows = square.chunks_exact(SIDE as usize * 3);
    let rgb: Vec<u8> = rows
        .skip(top as usize)
        .take(height as usize)
        .flat_map(|row| &row[left as usize * 3..][..width as usize * 3])
        .copied()
        .collect();
    encoded(&rgb, width as u16, height as u16)
}

fn encoded(rgb: &[u8], width: u16, height: u16) -> Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, QUALITY).encode(rgb, width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
