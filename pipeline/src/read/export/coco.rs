//! COCO: `images/<n>.jpg`, the raw images by number, and `annotations/instances_<fold>.json` (`…_all.json` without a
//! split). A category is a brand, its id one more than its index, in every file all of them, so that ids mean the same everywhere. An
//! object whose box cannot be used makes no annotation.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::CatalogRow;
use rayon::prelude::*;
use serde::Serialize;

use super::source::Source;
use crate::raw::annotation;
use logodex_program::failure::corrupt;
use logodex_program::progress::StageProgress;

#[derive(Debug, Serialize)]
struct Instances<'a> {
    info: Info,
    images: Vec<Image<'a>>,
    annotations: Vec<Instance>,
    categories: Vec<Category<'a>>,
}

#[derive(Debug, Serialize)]
struct Info {
    description: String,
}

#[derive(Debug, Serialize)]
struct Image<'a> {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
    /// Beyond COCO: where the image comes from, and that it is the one.
    raw_image: &'a str,
    blake3: &'a str,
}

#[derive(Debug, Serialize)]
struct Instance {
    id: u64,
    image_id: u64,
    category_id: u32,
    /// `[x, y, width, height]`, pixels.
    bbox: [u32; 4],
    area: u64,
    iscrowd: u8,
    /// None: the boxes are all there is. Readers ask for the key.
    segmentation: [f64; 0],
}

#[derive(Debug, Serialize)]
struct Category<'a> {
    id: u32,
    /// The brand, with its category where another category has a brand of this name: readers find categories by name.
    name: &'a str,
    supercategory: &'a str,
    /// Beyond COCO: the brand's index and its key, which is unique.
    brand_index: u32,
    key: &'a str,
}

/// A usable object: its brand's index and its box `[x, y, width, height]` within the image.
type Object = (u32, [u32; 4]);

/// Writes the images and a file of boxes for each fold that has images.
pub(super) fn write(source: &Source, dir: &Path) -> anyhow::Result<()> {
    for folder in ["images", "annotations"] {
        let folder = dir.join(folder);
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let images = source.images();
    let progress = StageProgress::new("export");
    let objects: Vec<Vec<Object>> = images
        .par_iter()
        .map(|row| {
            source.place_image(row, &dir.join("images").join(file_name(row)))?;
            progress.step(images.len() as u64);
            objects(source, row)
        })
        .collect::<anyhow::Result<_>>()?;
    for fold in ["train", "val", "test", "all"] {
        let chosen = images
            .iter()
            .zip(&objects)
            .filter(|(row, _)| source.fold_name(row.brand_index) == fold);
        let file = instances(source, fold, chosen);
        if file.images.is_empty() {
            continue;
        }
        let path = dir.join(format!("annotations/instances_{fold}.json"));
        std::fs::write(&path, serde_json::to_vec(&file)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn file_name(row: &CatalogRow) -> String {
    format!("{:012}.jpg", row.image)
}

fn objects(source: &Source, row: &CatalogRow) -> anyhow::Result<Vec<Object>> {
    let wrong = |what: String| corrupt(format!("{}: {what}", row.annotation));
    let xml = source.annotation(row)?;
    let parsed = annotation::parse(&xml).map_err(|(_, detail)| wrong(detail))?;
    let indices = annotation::indices(&xml).map_err(|error| wrong(error.to_string()))?;
    let brands = source.dataset.brands().len();
    if let Some(index) = indices.iter().find(|&&index| index as usize >= brands) {
        return Err(wrong(format!("<index> is {index} of {brands} brands")));
    }
    let usable = parsed.objects.iter().zip(indices).filter_map(|(o, index)| {
        let [x0, y0, x1, y1] = o.bbox.as_ref().ok()?.clip(row.width, row.height).ok()?;
        Some((index, [x0, y0, x1 - x0, y1 - y0]))
    });
    Ok(usable.collect())
}

/// All ids start at 1: COCO's own evaluation takes 0 for no match, and many readers for the background.
fn instances<'a>(
    source: &'a Source,
    fold: &str,
    chosen: impl Iterator<Item = (&'a &'a CatalogRow, &'a Vec<Object>)>,
) -> Instances<'a> {
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for (row, objects) in chosen {
        images.push(Image {
            id: row.image + 1,
            file_name: file_name(row),
            width: row.width,
            height: row.height,
            raw_image: &row.raw_image,
            blake3: &row.blake3,
        });
        for &(brand_index, bbox) in objects {
            annotations.push(Instance {
                id: annotations.len() as u64 + 1,
                image_id: row.image + 1,
                category_id: brand_index + 1,
                bbox,
                area: u64::from(bbox[2]) * u64::from(bbox[3]),
                iscrowd: 0,
                segmentation: [],
            });
        }
    }
    let mut named: BTreeMap<&str, u32> = BTreeMap::new();
    for brand in source.dataset.brands() {
        *named.entry(&brand.brand).or_default() += 1;
    }
    let categories = source.dataset.brands().iter().map(|brand| {
        let name = match named[brand.brand.as_str()] {
            1 => &brand.brand,
            _ => &brand.key,
        };
        Category {
            id: brand.index + 1,
            name,
            supercategory: &brand.category,
            brand_index: brand.index,
            key: &brand.key,
        }
    });
    Instances {
        info: Info {
            description: format!("LogoDet-3K by Logodex, {fold} brands"),
        },
        images,
        annotations,
        categories: categories.collect(),
    }
}
