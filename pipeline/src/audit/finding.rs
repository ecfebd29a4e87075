//! What every finding needs: an id, and the tree's samples by image and by folder.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use logodex_schemas::plan::audit::{Finding, FindingKind};
use logodex_schemas::split::Fold;

use crate::plan::consolidate::brands::by_folder;
use crate::plan::consolidate::foreign::Names;
use crate::plan::placement::{Fate, Placement};
use crate::raw::scan::Scan;

/// A raw tree under a plan, to be asked by names.
pub struct Tree<'a> {
    /// The tree as it was found.
    pub scan: &'a Scan,
    /// Where every image ends up.
    pub placement: &'a Placement,
    /// What annotations call its brands.
    pub names: Names<'a>,
    /// The fold of each brand `<Category>/<brand>` in the split that the audit was given.
    folds: &'a BTreeMap<String, Fold>,
    positions: HashMap<&'a str, usize>,
    folders: BTreeMap<(&'a str, &'a str), Range<usize>>,
}

impl<'a> Tree<'a> {
    /// An index of a tree.
    pub fn new(
        scan: &'a Scan,
        placement: &'a Placement,
        folds: &'a BTreeMap<String, Fold>,
    ) -> Self {
        let samples = scan.samples.iter().enumerate();
        Self {
            scan,
            placement,
            names: Names::new(placement),
            folds,
            positions: samples.map(|(i, s)| (s.image.as_str(), i)).collect(),
            folders: by_folder(scan),
        }
    }

    /// The position of an image among the scan's samples.
    pub fn sample(&self, image: &str) -> Option<usize> {
        self.positions.get(image).copied()
    }

    /// The samples of a folder that a person did not leave out.
    pub fn folder(&self, category: &str, folder: &str) -> impl Iterator<Item = usize> {
        let range = self.folders.get(&(category, folder)).cloned();
        range
            .unwrap_or(0..0)
            .filter(|&i| self.placement.fates[i] != Fate::LeftOut)
    }

    /// Every folder with its category, in order.
    pub fn folders(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.folders.keys().copied()
    }

    /// The usable boxes of a sample, in order.
    pub fn boxes(&self, sample: usize) -> Vec<[u32; 4]> {
        let sample = &self.scan.samples[sample];
        let found = sample.parsed.objects.iter();
        let found = found.filter_map(|object| object.bbox.as_ref().ok());
        let clip = |b: &crate::raw::annotation::BBox| b.clip(sample.seen.width, sample.seen.height);
        let mut boxes: Vec<[u32; 4]> = found.filter_map(|b| clip(b).ok()).collect();
        boxes.sort_unstable();
        boxes
    }

    /// Category and name of the brand that a folder belongs to.
    pub fn brand(&self, category: &str, folder: &str) -> Option<&crate::plan::catalog::Brand> {
        let key = (category.to_owned(), folder.to_owned());
        let index = self.placement.folders.get(&key)?;
        Some(&self.placement.brands[*index as usize])
    }

    /// The fold of a brand `<Category>/<brand>`, where it is known.
    pub fn fold(&self, brand: &str) -> Option<Fold> {
        self.folds.get(brand).copied()
    }

    /// The name of the brand that a folder belongs to; of one that is left out, the folder's own.
    pub fn brand_name<'b>(&'b self, category: &str, folder: &'b str) -> &'b str {
        self.brand(category, folder)
            .map_or(folder, |brand| brand.name.as_str())
    }

    /// The brand `<Category>/<brand>` that a name in a folder means, where it is another than the folder's own.
    pub fn foreign_brand(&self, category: &str, folder: &str, name: &str) -> Option<String> {
        let key = (category.to_owned(), folder.to_owned());
        let own = *self.placement.folders.get(&key)?;
        let named = self.names.resolve(category, name)?;
        if self.names.is_own(own, category, folder, name) {
            return None;
        }
        let brand = &self.placement.brands[named as usize];
        Some(format!("{}/{}", brand.category, brand.name))
    }

    /// The samples that are kept as a brand's, in order.
    pub fn kept(&self, category: &str, brand: &str) -> Vec<usize> {
        let folders = self.placement.folders.iter();
        let own = folders.filter(|(_, index)| {
            let found = &self.placement.brands[**index as usize];
            (found.category.as_str(), found.name.as_str()) == (category, brand)
        });
        let samples = own.flat_map(|((category, folder), _)| self.folder(category, folder));
        samples
            .filter(|&i| matches!(self.placement.fates[i], Fate::Kept(..)))
            .collect()
    }
}

/// A finding of which only the subjects are known, which must not be none.
pub fn finding(kind: FindingKind, brand: &str, subjects: Vec<String>) -> Finding {
    let name = serde_json::to_value(kind).unwrap_or_default();
    let category = subjects[0].split('/').next().unwrap_or_default().to_owned();
    Finding {
        id: format!(
            "{}: {}",
            name.as_str().unwrap_or_default(),
            subjects.join(" | ")
        ),
        kind,
        verdict: None,
        weight: 0,
        category,
        brand: brand.to_owned(),
        subjects,
        says: String::new(),
        otherwise: String::new(),
        rule: None,
        members: Vec::new(),
        overlap: Vec::new(),
        looks: Vec::new(),
        effect: None,
        apart: None,
        names: Vec::new(),
        labels: Vec::new(),
        other: None,
        pairs: Vec::new(),
        pairs_total: 0,
        folds: Vec::new(),
        flagged: Vec::new(),
        alone: Vec::new(),
        alone_total: 0,
        answered: false,
    }
}
