//! The small files of a dataset: indexed annotations, lookups, lists.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::{AnnotationsEntry, BoxRow, BrandIndexRow, BrandRow};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::annotation;
use crate::build::Built;
use crate::catalog::{Brand, Catalog};
use crate::output::Output;
use crate::render::read_unchanged;
use crate::scan::Scan;
use logodex_program::progress::StageProgress;

/// The path of an annotation relative to the dataset.
pub fn annotation_path(brand: &Brand, stem: &str) -> String {
    format!("annotations/{}/{}/{stem}.xml", brand.category, brand.name)
}

/// Prepares the indexed annotation of every image kept, without a sync for each; one that the directory has already, byte
/// for byte, is not written again. Returns their entry and their paths.
///
/// # Errors
/// A source that changed since the scan, or what the file system reports.
pub fn write_annotations(
    scan: &Scan,
    catalog: &Catalog,
    images: &[usize],
    output: &Output,
) -> anyhow::Result<(AnnotationsEntry, BTreeSet<String>)> {
    let stage = output.stage();
    let has_some = output.dir().join("annotations").exists();
    let brands: BTreeSet<u32> = images
        .iter()
        .map(|&image| catalog.samples[image].brand)
        .collect();
    for brand in brands {
        let Brand { category, name } = &catalog.brands[brand as usize];
        let folder = Path::new("annotations").join(category).join(name);
        for root in [&stage, output.dir()]
            .iter()
            .take(1 + usize::from(has_some))
        {
            let folder = root.join(&folder);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
    }
    let progress = StageProgress::new("annotate");
    let mut written: Vec<(String, u64, blake3::Hash)> = images
        .par_iter()
        .map(|&image| {
            let sample = &catalog.samples[image];
            let raw = &scan.samples[sample.raw];
            let source = read_unchanged(&scan.root, &raw.annotation, raw.annotation_blake3)?;
            let indexed = annotation::with_indices(&source, &sample.object_indices)
                .with_context(|| raw.annotation.clone())?;
            let path = annotation_path(&catalog.brands[sample.brand as usize], &sample.stem);
            let there = || std::fs::read(output.dir().join(&path)).is_ok_and(|old| old == indexed);
            if !(has_some && there()) {
                let target = stage.join(&path);
                std::fs::write(&target, &indexed)
                    .with_context(|| format!("cannot write {}", target.display()))?;
            }
            progress.step(images.len() as u64);
            Ok((path, indexed.len() as u64, blake3::hash(&indexed)))
        })
        .collect::<anyhow::Result<_>>()?;
    let entry = annotations_entry(&mut written);
    Ok((entry, written.into_iter().map(|(path, ..)| path).collect()))
}

/// The manifest's entry of annotation files given by path, length and hash, in any order.
pub fn annotations_entry(files: &mut [(String, u64, blake3::Hash)]) -> AnnotationsEntry {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = blake3::Hasher::new();
    for (path, _, hash) in &*files {
        hasher.update(format!("{}  {path}\n", hash.to_hex()).as_bytes());
    }
    AnnotationsEntry {
        files: files.len() as u64,
        bytes: files.iter().map(|(_, bytes, _)| bytes).sum(),
        blake3: hasher.finalize().to_hex().to_string(),
    }
}

/// The lines of `brands.csv`. A brand of which every image was refused keeps its index and has no rows.
pub fn brand_rows(scan: &Scan, catalog: &Catalog, built: &Built) -> Vec<BrandRow> {
    let mut brands: Vec<BrandRow> = (0..)
        .zip(&catalog.brands)
        .map(|(index, brand)| BrandRow {
            index,
            category: brand.category.clone(),
            brand: brand.name.clone(),
            first_row: 0,
            n_rows: 0,
            n_images: 0,
            n_objects: 0,
        })
        .collect();
    for row in &built.rows {
        brands[row.brand_index as usize].n_rows += 1;
    }
    for &image in &built.images {
        let sample = &catalog.samples[image];
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
    let sources: HashMap<&str, &crate::annotation::Annotation> = built
        .images
        .iter()
        .map(|&image| &scan.samples[catalog.samples[image].raw])
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

/// Rows as CSV with a header line. Texts are always quoted and numbers never, so that a reader that honours quotes
/// takes the brand `"76"` for the text that it is; the csv crate's quote styles look at values and would not quote it.
///
/// # Errors
/// A row that is no flat record.
pub fn csv_bytes<T: Serialize>(rows: &[T]) -> anyhow::Result<Vec<u8>> {
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = String::new();
    for row in rows {
        let Value::Object(record) = serde_json::to_value(row)? else {
            anyhow::bail!("a row of a table is a record");
        };
        if text.is_empty() {
            text += &line(record.keys().map(|key| quoted(key)).collect());
        }
        let cells: anyhow::Result<Vec<String>> = record
            .values()
            .map(|value| match value {
                Value::String(text) => Ok(quoted(text)),
                Value::Number(number) => Ok(number.to_string()),
                other => Err(anyhow::anyhow!("{other} is no cell of a table")),
            })
            .collect();
        text += &line(cells?);
    }
    Ok(text.into_bytes())
}

/// A value as indented JSON, closed by a newline.
///
/// # Errors
/// None in practice.
pub fn json_bytes<T: Serialize>(value: &T) -> anyhow::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Values as JSON lines.
///
/// # Errors
/// None in practice.
pub fn jsonl_bytes<T: Serialize>(values: &[T]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_numbers_are_not_and_all_comes_back() {
        let rows: Vec<BrandIndexRow> = (0..)
            .zip([
                "76",
                "Bravo!,  Cucina Italiana",
                "say \"hi\"",
                "é\nü",
                "1e5",
            ])
            .map(|(index, brand)| BrandIndexRow {
                brand: brand.to_owned(),
                index,
            })
            .collect();
        let bytes = csv_bytes(&rows).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(
            text.starts_with("\"brand\",\"index\"\n\"76\",0\n"),
            "{text}"
        );
        assert!(text.ends_with("\"1e5\",4\n"), "{text}");
        let read: Vec<BrandIndexRow> = csv::Reader::from_reader(bytes.as_slice())
            .deserialize()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(read, rows);
    }
}
