//! The paper's tree: `{train_val,test}/<Category>/<brand>/<n>.jpg` with the indexed `<n>.xml`, under the names that the
//! images have in the dataset. Brands of validation are in `train_val`; `split.csv` tells them apart.

use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_schemas::dataset::CatalogRow;
use logodex_schemas::split::Fold;
use rayon::prelude::*;

use super::source::Source;
use logodex_program::failure::corrupt;
use logodex_program::progress::StageProgress;

/// Writes the tree, the lookup and the split.
pub(super) fn write(source: &Source, split: Option<&str>, dir: &Path) -> anyhow::Result<()> {
    for half in ["train_val", "test"] {
        make(&dir.join(half))?;
    }
    let images = source.images();
    let progress = StageProgress::new("export");
    images.par_iter().try_for_each(|row| {
        let stem = stem(source, row)?;
        let (image, xml) = (
            dir.join(format!("{stem}.jpg")),
            dir.join(format!("{stem}.xml")),
        );
        make(image.parent().unwrap_or(dir))?;
        source.place_image(row, &image)?;
        std::fs::write(&xml, source.annotation(row)?)
            .with_context(|| format!("cannot write {}", xml.display()))?;
        progress.step(images.len() as u64);
        anyhow::Ok(())
    })?;
    source.copy_listed("brand_to_index.csv", dir)?;
    if let Some(name) = split {
        let splits: PathBuf = source.dataset.dir().join("splits");
        for extension in ["csv", "json"] {
            let from = splits.join(format!("{name}.{extension}"));
            std::fs::copy(&from, dir.join(format!("split.{extension}")))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}

fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// `<half>/<Category>/<brand>/<n>`.
fn stem(source: &Source, row: &CatalogRow) -> anyhow::Result<String> {
    let half = match source.folds.get(&row.brand_index) {
        Some(Fold::Test) => "test",
        Some(Fold::Train | Fold::Val) => "train_val",
        None => {
            return Err(corrupt(format!(
                "{}/{} is in no fold of the split",
                row.category, row.brand
            )));
        }
    };
    let name = row
        .annotation
        .strip_prefix("annotations/")
        .and_then(|path| path.strip_suffix(".xml"));
    match name {
        Some(name) => Ok(format!("{half}/{name}")),
        None => Err(corrupt(format!(
            "catalog.parquet: {:?} is no annotation",
            row.annotation
        ))),
    }
}
