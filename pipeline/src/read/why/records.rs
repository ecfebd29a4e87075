//! What a dataset has on record of every image: its rows, the plan, what was refused, the splits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use logodex_dataset::{parse_csv, read_brands, read_listed, read_manifest};
use logodex_schemas::dataset::{BrandRow, CatalogRow, Manifest, Reject};
use logodex_schemas::plan::{ConsolidationPlan, DropOverride, Group};
use logodex_schemas::split::{Fold, SplitRow};

use crate::raw::name::nfc;
use crate::read::catalog::{read_catalog, read_plan};
use logodex_program::failure::corrupt;

/// Everything but the pixels.
pub struct Records {
    root: PathBuf,
    /// The manifest.
    pub manifest: Manifest,
    /// `brands.csv`.
    pub brands: Vec<BrandRow>,
    /// `catalog.parquet`.
    pub rows: Vec<CatalogRow>,
    /// `consolidation.json`.
    pub plan: ConsolidationPlan,
    /// `rejects.jsonl`.
    pub rejects: Vec<Reject>,
    /// The splits by name, each with the fold of every brand in it.
    pub splits: Vec<(String, BTreeMap<u32, Fold>)>,
    /// Every image on record as `<Category>/<folder>/<stem>`. Kept images without a row are on none.
    pub stems: BTreeSet<String>,
}

/// A path without its extension.
pub fn stem_path(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') && !stem.ends_with('/') => stem,
        _ => path,
    }
}

impl Records {
    /// Reads a dataset's records; each file is checked against the manifest.
    ///
    /// # Errors
    /// Usage: there is no dataset. Corrupt: a file that is missing or damaged.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let (manifest, _) = read_manifest(root)?;
        let listed = |name: &str| read_listed(root, &manifest, name);
        let rows = read_catalog(root, &manifest)?;
        let plan = read_plan(root, &manifest)?;
        let rejects: Vec<Reject> = serde_json::Deserializer::from_slice(&listed("rejects.jsonl")?)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| {
                corrupt(format!("{}: {error}", root.join("rejects.jsonl").display()))
            })?;
        let mut stems = BTreeSet::new();
        let dropped = plan.groups.iter().flat_map(|group| &group.dropped);
        let left_out = plan.overrides.drop.iter().map(|d| &d.path);
        let images = rows.iter().map(|row| &row.raw_image);
        let images = images.chain(dropped.map(|copy| &copy.image));
        let images = images.chain(rejects.iter().map(|reject| &reject.path));
        // A folder that is left out is no image.
        let images = images.chain(left_out.filter(|path| path.matches('/').count() == 2));
        stems.extend(images.map(|path| stem_path(path).to_owned()));
        Ok(Self {
            root: root.to_owned(),
            brands: read_brands(root, &manifest)?,
            splits: splits(root)?,
            manifest,
            rows,
            plan,
            rejects,
            stems,
        })
    }

    /// A path `<Category>/<folder>/<stem>` as the tree spells it, where it differs in its form in Unicode only.
    pub fn as_spelled(&self, path: &str) -> String {
        let wanted = nfc(path);
        let known = |stem: &&String| nfc(stem) == wanted;
        if self.stems.contains(path) {
            return path.to_owned();
        }
        if let Some(stem) = self.stems.iter().find(known) {
            return stem.clone();
        }
        // Kept without a row: its folder may be known.
        let folder = path.rsplit_once('/').and_then(|(folder, stem)| {
            let wanted = nfc(folder);
            let names = self.names().into_iter().map(|(c, f)| format!("{c}/{f}"));
            let mut same = names.filter(|name| nfc(name) == wanted);
            Some(format!("{}/{stem}", same.next()?))
        });
        folder.unwrap_or_else(|| path.to_owned())
    }

    /// The group that a raw folder is in, if it is in any.
    pub fn group(&self, category: &str, folder: &str) -> Option<&Group> {
        let is_in = |group: &&Group| {
            group.category == category && group.members.iter().any(|m| m.folder == folder)
        };
        self.plan.groups.iter().find(is_in)
    }

    /// The brand that a raw folder is in, whether or not that brand keeps an image.
    pub fn brand_name<'a>(&'a self, category: &str, folder: &'a str) -> &'a str {
        self.group(category, folder)
            .map_or(folder, |group| &group.brand)
    }

    /// A brand of the dataset.
    pub fn brand(&self, category: &str, name: &str) -> Option<&BrandRow> {
        self.brands
            .iter()
            .find(|b| b.category == category && b.brand == name)
    }

    /// Category and name of every brand and every raw folder on record, sorted.
    pub fn names(&self) -> BTreeSet<(&str, &str)> {
        let brands = self
            .brands
            .iter()
            .map(|b| (b.category.as_str(), b.brand.as_str()));
        let groups = self.plan.groups.iter();
        let members = groups.flat_map(|g| {
            g.members
                .iter()
                .map(move |m| (g.category.as_str(), m.folder.as_str()))
        });
        let folders = self.stems.iter().filter_map(|stem| {
            let (category, rest) = stem.split_once('/')?;
            Some((category, rest.split_once('/')?.0))
        });
        let left_out = self.plan.overrides.drop.iter();
        let left_out = left_out.filter_map(|d| d.path.trim_end_matches('/').split_once('/'));
        let left_out = left_out.filter(|(_, folder)| !folder.contains('/'));
        brands
            .chain(members)
            .chain(folders)
            .chain(left_out)
            .collect()
    }

    /// The override that leaves an image out, alone or with its folder.
    pub fn left_out(&self, folder: &str, stem: &str) -> Option<&DropOverride> {
        self.plan.overrides.drop.iter().find(|drop| {
            let path = drop.path.trim_end_matches('/');
            path == folder || stem_path(path) == stem
        })
    }

    /// The indexed annotation of a kept image without rows, relative to the dataset, if it is there.
    pub fn annotation(&self, category: &str, folder: &str, stem: &str) -> Option<String> {
        let raw = format!("{category}/{folder}/{stem}");
        let group = self.group(category, folder);
        let renamed = group.and_then(|g| g.renamed.iter().find(|r| stem_path(&r.image) == raw));
        let stem = renamed.map_or(stem, |r| &r.stem);
        let brand = self.brand_name(category, folder);
        let path = format!("annotations/{category}/{brand}/{stem}.xml");
        // In a family, it can be another folder's image.
        let taken = self.rows.iter().any(|row| row.annotation == path);
        (!taken && self.root.join(&path).is_file()).then_some(path)
    }

    /// The raw images, as `<Category>/<folder>/<stem>`, that an annotation of the dataset can be of: one where the
    /// image has a row or another name, otherwise one per folder of the brand not known to hold another image there.
    pub fn raw_of_annotation(&self, category: &str, brand: &str, stem: &str) -> Vec<String> {
        let brand = nfc(brand);
        let path = format!("annotations/{category}/{brand}/{stem}.xml");
        if let Some(row) = self.rows.iter().find(|row| row.annotation == path) {
            return vec![stem_path(&row.raw_image).to_owned()];
        }
        let is_brand = |g: &&Group| g.category == category && g.brand == brand;
        let Some(group) = self.plan.groups.iter().find(is_brand) else {
            return vec![format!("{category}/{brand}/{stem}")];
        };
        if let Some(renamed) = group.renamed.iter().find(|r| r.stem == stem) {
            return vec![stem_path(&renamed.image).to_owned()];
        }
        let members = group.members.iter();
        let paths = members.map(|m| format!("{category}/{}/{stem}", m.folder));
        let elsewhere = |path: &String| {
            let is = |image: &str| stem_path(image) == path;
            group.dropped.iter().any(|d| is(&d.image)) || group.renamed.iter().any(|r| is(&r.image))
        };
        paths.filter(|path| !elsewhere(path)).collect()
    }
}

fn splits(root: &Path) -> anyhow::Result<Vec<(String, BTreeMap<u32, Fold>)>> {
    let folder = root.join("splits");
    let mut splits = Vec::new();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(splits),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot list {}", folder.display()));
        }
    };
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let (Some(name), Some("csv")) = (
            path.file_stem().and_then(|name| name.to_str()),
            path.extension().and_then(|extension| extension.to_str()),
        ) else {
            continue;
        };
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let rows: Vec<SplitRow> = parse_csv(&path, &bytes)?;
        let folds = rows.into_iter().map(|row| (row.index, row.fold)).collect();
        splits.push((name.to_owned(), folds));
    }
    splits.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(splits)
}
