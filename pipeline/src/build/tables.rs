//! Makes the small tables of a dataset: `brands.csv`, `boxes.csv`, `images.csv`, `brand_to_index.csv`.

use std::collections::HashMap;

use logodex_schemas::dataset::{BoxRow, BrandIndexRow, BrandRow, ImageRow};

use super::built::Built;
use crate::plan::catalog::Catalog;
use crate::raw::annotation::Annotation;
use crate::raw::scan::Scan;
use crate::serialise::csv_bytes;

/// The lines of `brands.csv`. A brand of which every image was refused keeps its index and has no rows.
pub fn brand_rows(scan: &Scan, catalog: &Catalog, built: &Built) -> Vec<BrandRow> {
    let mut brands: Vec<BrandRow> = (0..)
        .zip(&catalog.brands)
        .map(|(index, brand)| BrandRow {
            index,
            category: brand.category.clone(),
            brand: brand.name.clone(),
            key: format!("{}/{}", brand.category, brand.name),
            first_row: 0,
            n_rows: 0,
            n_images: 0,
            n_objects: 0,
        })
        .collect();
    for row in &built.rows {
        brands[row.brand_index as usize].n_rows += 1;
    }
    for sample in &catalog.samples {
        let brand = &mut brands[sample.brand as usize];
        brand.n_images += 1;
        brand.n_objects += scan.samples[sample.raw].parsed.objects.len() as u64;
    }
    let mut first_row = 0;
    for brand in &mut brands {
        brand.first_row = first_row;
        first_row += brand.n_rows;
    }
    brands
}

/// The lines of `boxes.csv`. A row whose image has no usable box has a box of 0 × 0.
pub fn box_rows(scan: &Scan, catalog: &Catalog, built: &Built) -> Vec<BoxRow> {
    let sources: HashMap<&str, &Annotation> = catalog
        .samples
        .iter()
        .map(|sample| &scan.samples[sample.raw])
        .map(|raw| (raw.image.as_str(), &raw.parsed))
        .collect();
    built
        .rows
        .iter()
        .map(|row| {
            let objects = &sources[row.raw_image.as_str()].objects;
            let boxes: Vec<Option<[u32; 2]>> = objects
                .iter()
                .map(|object| {
                    let bbox = object.bbox.as_ref().ok()?;
                    let [x0, y0, x1, y1] = bbox.clip(row.width, row.height).ok()?;
                    Some([x1 - x0, y1 - y0])
                })
                .collect();
            let area = |[width, height]: &[u32; 2]| u64::from(*width) * u64::from(*height);
            let shown = match row.object {
                Some(object) => boxes[object as usize],
                // The first of the largest.
                None => boxes.iter().flatten().rev().copied().max_by_key(area),
            };
            let [width, height] = shown.unwrap_or_default();
            BoxRow {
                row: row.row,
                boxes: boxes.iter().flatten().count() as u32,
                width,
                height,
            }
        })
        .collect()
}

/// The lines of `images.csv`.
pub fn image_rows(built: &Built) -> Vec<ImageRow> {
    let images = built.rows.chunk_by(|one, next| one.image == next.image);
    images
        .map(|rows| ImageRow {
            image: rows[0].image,
            blake3: rows[0].blake3.clone(),
        })
        .collect()
}

/// `brand_to_index.csv`: see [`csv_bytes`].
///
/// # Errors
/// None in practice: the writer is memory.
pub fn brand_to_index_csv(catalog: &Catalog) -> anyhow::Result<Vec<u8>> {
    let rows: Vec<BrandIndexRow> = (0..)
        .zip(&catalog.brands)
        .map(|(index, brand)| BrandIndexRow {
            brand: brand.name.clone(),
            index,
        })
        .collect();
    csv_bytes(&rows)
}
