//! Finds where every image ends up under a plan: the one reading of a plan that its numbers, its cross-brand findings and the
//! catalog all rest on. It trusts nothing that the plan says of the tree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use logodex_schemas::plan::{Group, Overrides, PlanSummary, Sameness};

use crate::plan::catalog::Brand;
use crate::plan::overrides::LeftOut;
use crate::raw::name::file_key;
use crate::raw::scan::Scan;

/// A plan that does not fit the tree it is applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan does not fit this tree: {0}; propose it anew")]
pub struct PlanMismatch(pub String);

/// The fate of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Left out by a person.
    LeftOut,
    /// Dropped as a copy of another sample, which is kept.
    CopyOf(usize),
    /// Kept in the brand under this stem.
    Kept(u32, String),
}

/// A tree under a plan.
#[derive(Debug)]
pub struct Placement {
    /// The brands that keep an image, sorted by name, then category.
    pub brands: Vec<Brand>,
    /// The fate of each sample of the scan.
    pub fates: Vec<Fate>,
    /// The brand of each (category, folder) that has one.
    pub folders: BTreeMap<(String, String), u32>,
    /// The same in numbers.
    pub summary: PlanSummary,
}

impl Placement {
    /// The brand that a sample's picture is kept in, if it is kept at all, and the sample that is kept.
    pub fn kept(&self, sample: usize) -> Option<(u32, usize)> {
        match &self.fates[sample] {
            Fate::LeftOut => None,
            Fate::Kept(brand, _) => Some((*brand, sample)),
            Fate::CopyOf(other) => match &self.fates[*other] {
                Fate::Kept(brand, _) => Some((*brand, *other)),
                _ => None,
            },
        }
    }
}

fn mismatch<T>(detail: String) -> Result<T, PlanMismatch> {
    Err(PlanMismatch(detail))
}

/// Places every image of a tree.
///
/// # Errors
/// [`PlanMismatch`] when the groups name what is not there, or contradict themselves or each other.
pub fn place_images(
    scan: &Scan,
    groups: &[Group],
    overrides: &Overrides,
) -> Result<Placement, PlanMismatch> {
    let left_out = LeftOut::new(overrides);
    let names = folder_names(scan, groups, &left_out)?;
    let positions: HashMap<&str, usize> = scan
        .samples
        .iter()
        .enumerate()
        .map(|(i, s)| (s.image.as_str(), i))
        .collect();
    let (mut copy_of, mut stems) = (HashMap::new(), HashMap::new());
    let brand_of = |i: usize| {
        let sample = &scan.samples[i];
        names.get(&(sample.category.as_str(), sample.folder.as_str()))
    };
    for group in groups {
        let this = (group.category.as_str(), group.brand.as_str());
        let position = |image: &str| match positions.get(image) {
            Some(&i) if brand_of(i) == Some(&this) && !left_out.image(image) => Ok(i),
            _ => mismatch(format!("{image} is no image of {}/{}", this.0, this.1)),
        };
        for copy in &group.dropped {
            let (image, kept) = (position(&copy.image)?, position(&copy.kept)?);
            let same = scan.samples[image].image_blake3 == scan.samples[kept].image_blake3;
            if image == kept || (copy.same == Sameness::Bytes) != same {
                return mismatch(format!("{} is no such copy of {}", copy.image, copy.kept));
            }
            if copy_of.insert(image, kept).is_some() {
                return mismatch(format!("{} is dropped twice", copy.image));
            }
        }
        for renamed in &group.renamed {
            if stems
                .insert(position(&renamed.image)?, renamed.stem.as_str())
                .is_some()
            {
                return mismatch(format!("{} is renamed twice", renamed.image));
            }
        }
    }
    if let Some((copy, kept)) = copy_of.iter().find(|c| copy_of.contains_key(c.1)) {
        let (copy, kept) = (&scan.samples[*copy].image, &scan.samples[*kept].image);
        return mismatch(format!(
            "{copy} is dropped for {kept}, which is dropped too"
        ));
    }

    let is_kept = |i: &usize| !copy_of.contains_key(i) && !left_out.image(&scan.samples[*i].image);
    let brands: BTreeSet<Brand> = (0..scan.samples.len())
        .filter(is_kept)
        .filter_map(brand_of)
        .map(|(category, name)| Brand {
            name: (*name).to_owned(),
            category: (*category).to_owned(),
        })
        .collect();
    let mut brands: Vec<Brand> = brands.into_iter().collect();
    brands.sort_by(|a, b| (&a.name, &a.category).cmp(&(&b.name, &b.category)));
    let index: HashMap<(&str, &str), u32> = brands
        .iter()
        .enumerate()
        .map(|(i, b)| ((b.category.as_str(), b.name.as_str()), i as u32))
        .collect();

    let mut taken: HashSet<(u32, String)> = HashSet::new();
    let mut fates = Vec::with_capacity(scan.samples.len());
    for (i, sample) in scan.samples.iter().enumerate() {
        let brand = brand_of(i).and_then(|name| index.get(name));
        let fate = match (copy_of.get(&i), brand) {
            _ if left_out.image(&sample.image) => Fate::LeftOut,
            (Some(&kept), _) => Fate::CopyOf(kept),
            (None, Some(&brand)) => {
                let stem = stems.get(&i).map_or(sample.stem.as_str(), |stem| stem);
                if !taken.insert((brand, file_key(stem))) {
                    return mismatch(format!("two images of a brand are named {stem}"));
                }
                Fate::Kept(brand, stem.to_owned())
            }
            (None, None) => return mismatch(format!("{} is in no brand", sample.image)),
        };
        if stems.contains_key(&i) && !matches!(fate, Fate::Kept(..)) {
            return mismatch(format!("{} is renamed but not kept", sample.image));
        }
        fates.push(fate);
    }
    let count = |of: fn(&Fate) -> bool| fates.iter().filter(|f| of(f)).count() as u64;
    let summary = PlanSummary {
        folders: scan.folders.len() as u64,
        brands: brands.len() as u64,
        images: scan.samples.len() as u64,
        kept: count(|f| matches!(f, Fate::Kept(..))),
        dropped: count(|f| matches!(f, Fate::CopyOf(_))),
        renamed: stems.len() as u64,
    };
    let folders = names
        .iter()
        .filter_map(|(folder, name)| {
            let folder = (folder.0.to_owned(), folder.1.to_owned());
            Some((folder, *index.get(name)?))
        })
        .collect();
    Ok(Placement {
        brands,
        fates,
        folders,
        summary,
    })
}

type Named<'a> = BTreeMap<(&'a str, &'a str), (&'a str, &'a str)>;

/// (category, folder) → (category, brand), for every folder that is not left out.
fn folder_names<'a>(
    scan: &'a Scan,
    groups: &'a [Group],
    left_out: &LeftOut,
) -> Result<Named<'a>, PlanMismatch> {
    let mut names: Named = scan
        .folders
        .iter()
        .filter(|(c, f)| !left_out.folder(c, f))
        .map(|(c, f)| ((c.as_str(), f.as_str()), (c.as_str(), f.as_str())))
        .collect();
    let mut grouped = BTreeSet::new();
    let mut brands = BTreeSet::new();
    for group in groups {
        let (category, brand) = (group.category.as_str(), group.brand.as_str());
        if !brands.insert((category, brand)) {
            return mismatch(format!("{category}/{brand} is there twice"));
        }
        for member in &group.members {
            let folder = (category, member.folder.as_str());
            let Some(name) = names.get_mut(&folder) else {
                return mismatch(format!("there is no folder {category}/{}", member.folder));
            };
            if !grouped.insert(folder) {
                return mismatch(format!("{category}/{} is in two groups", member.folder));
            }
            *name = (category, brand);
        }
    }
    // A folder outside of all groups must not share a brand's name by accident.
    for folder in names.keys().filter(|f| !grouped.contains(*f)) {
        if brands.contains(folder) {
            return mismatch(format!(
                "{}/{} is a brand of other folders and a folder of its own",
                folder.0, folder.1
            ));
        }
    }
    Ok(names)
}
