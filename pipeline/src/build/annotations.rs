//! Writes the indexed annotation of every image that is kept.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use logodex_schemas::dataset::AnnotationsEntry;
use rayon::prelude::*;

use super::output::Output;
use crate::plan::catalog::{Brand, Catalog};
use crate::raw::annotation;
use crate::raw::content::read_unchanged;
use crate::raw::scan::Scan;
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
    output: &Output,
) -> anyhow::Result<(AnnotationsEntry, BTreeSet<String>)> {
    let stage = output.stage();
    let has_some = output.dir().join("annotations").exists();
    let brands: BTreeSet<u32> = catalog.samples.iter().map(|sample| sample.brand).collect();
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
    let mut written: Vec<(String, u64, blake3::Hash)> = catalog
        .samples
        .par_iter()
        .map(|sample| {
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
            progress.step(catalog.samples.len() as u64);
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
