//! Lists different brands with nearly the same name. Spelling cannot tell `Canon` and `Canson`, which are two, from
//! `timberland` and `the timberland`, which are one: so they are listed for a person and never joined.

use std::collections::BTreeMap;

use logodex_schemas::plan::{NameLikeness, NearName};
use rayon::prelude::*;

use super::evidence::rounded;
use super::naming;
use crate::plan::catalog::Brand;

/// Shorter names differ in one letter by chance; of those at least this long it is suspicious.
const ONE_LETTER: usize = 5;

/// From this length on, two letters may differ.
const TWO_LETTERS: usize = 8;

/// Names at least this similar are listed.
const MIN_JARO_WINKLER: f64 = 0.94;

/// Below this no similarity of [`MIN_JARO_WINKLER`] can come about: four common letters at the beginning raise a Jaro
/// similarity j to 0.6 j + 0.4.
const MIN_JARO: f64 = (MIN_JARO_WINKLER - 0.4) / 0.6;

/// A name taken apart, once.
struct Name {
    /// Without case and punctuation.
    folded: String,
    /// The same, word by word; an apostrophe or a dot divides no word.
    words: Vec<String>,
    /// Characters of `folded`.
    length: usize,
    /// How often each kind of character occurs in `folded`: a to z, 0 to 9, all others.
    letters: [u8; 37],
}

impl Name {
    fn new(name: &str) -> Self {
        let folded = naming::fold(name);
        let divides = |c: char| !(naming::is_word(c) || matches!(c, '\'' | '’' | '.'));
        let words = name
            .split(divides)
            .filter(|w| w.contains(char::is_alphanumeric));
        let mut letters = [0u8; 37];
        for c in folded.chars() {
            let kind = match c {
                'a'..='z' => c as usize - 'a' as usize,
                '0'..='9' => 26 + c as usize - '0' as usize,
                _ => 36,
            };
            letters[kind] = letters[kind].saturating_add(1);
        }
        Self {
            words: words.map(naming::fold).collect(),
            length: folded.chars().count(),
            letters,
            folded,
        }
    }

    /// The words but for a leading "the".
    fn own_words(&self) -> &[String] {
        match self.words.split_first() {
            Some((first, rest)) if first == "the" && !rest.is_empty() => rest,
            _ => &self.words,
        }
    }
}

/// In what two names are alike, with their distance and similarity; none where they are not.
fn compare(a: &Name, b: &Name) -> Option<(NameLikeness, usize, f64)> {
    let (own_a, own_b) = (a.own_words(), b.own_words());
    let shorter = own_a.len().min(own_b.len());
    let equal = a.folded == b.folded || (shorter > 0 && own_a == own_b);
    let first_words = shorter > 0 && own_a[..shorter] == own_b[..shorter];
    // What cannot come out is not computed: few of the millions of pairs have letters enough in common.
    let pairs = a.letters.iter().zip(&b.letters);
    let common: usize = pairs.map(|(a, b)| usize::from(*a.min(b))).sum();
    let (longer, shorter) = (a.length.max(b.length), a.length.min(b.length));
    let distance = match shorter {
        0..ONE_LETTER => 0,
        ONE_LETTER..TWO_LETTERS => 1,
        _ => 2,
    };
    let jaro = (common as f64 / a.length as f64 + common as f64 / b.length as f64 + 1.0) / 3.0;
    let (few, similar) = (longer - common <= distance, jaro >= MIN_JARO - 1e-9);
    if !(equal || first_words || few || similar) {
        return None;
    }
    let edit = strsim::damerau_levenshtein(&a.folded, &b.folded);
    let winkler = strsim::jaro_winkler(&a.folded, &b.folded);
    let alike = if equal {
        NameLikeness::Equal
    } else if first_words {
        NameLikeness::FirstWords
    } else if edit <= distance {
        NameLikeness::Letters
    } else if winkler >= MIN_JARO_WINKLER {
        NameLikeness::Similar
    } else {
        return None;
    };
    Some((alike, edit, winkler))
}

/// Every pair of brands with nearly the same name: those that share pictures first, then by similarity. `shared` counts
/// the pictures that two brands (positions, the smaller first) share.
pub fn near_names(brands: &[Brand], shared: &BTreeMap<(u32, u32), u64>) -> Vec<NearName> {
    let names: Vec<Name> = brands.par_iter().map(|b| Name::new(&b.name)).collect();
    let mut near: Vec<NearName> = (0..brands.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            let names = &names;
            (a + 1..brands.len()).filter_map(move |b| {
                let (alike, edit, winkler) = compare(&names[a], &names[b])?;
                Some(NearName {
                    category_a: brands[a].category.clone(),
                    brand_a: brands[a].name.clone(),
                    category_b: brands[b].category.clone(),
                    brand_b: brands[b].name.clone(),
                    alike,
                    edit_distance: edit as u64,
                    jaro_winkler: rounded(winkler),
                    images_near: shared.get(&(a as u32, b as u32)).copied().unwrap_or(0),
                })
            })
        })
        .collect();
    near.sort_by(|x, y| {
        let names = |n: &NearName| (n.brand_a.clone(), n.brand_b.clone());
        (y.images_near.cmp(&x.images_near))
            .then(y.jaro_winkler.total_cmp(&x.jaro_winkler))
            .then(x.edit_distance.cmp(&y.edit_distance))
            .then_with(|| names(x).cmp(&names(y)))
            .then_with(|| (&x.category_a, &x.category_b).cmp(&(&y.category_a, &y.category_b)))
    });
    near
}

#[cfg(test)]
mod tests {
    use logodex_schemas::dataset::ConsolidateConfig;

    use super::*;

    /// The brands of the real tree.
    fn census() -> Vec<Brand> {
        naming::group(&naming::census(), &ConsolidateConfig::default())
            .into_iter()
            .map(|group| Brand {
                name: group.spellings[0].0.clone(),
                category: group.category,
            })
            .collect()
    }

    #[test]
    fn the_real_trees_near_names_are_listed_and_stay_apart() {
        let brands = census();
        assert_eq!(brands.len(), 2_863, "none is joined");
        let near = near_names(&brands, &BTreeMap::new());
        let of = |a: &str, b: &str| {
            let pair = |n: &&NearName| {
                let names = [n.brand_a.as_str(), n.brand_b.as_str()];
                names == [a, b] || names == [b, a]
            };
            near.iter().find(pair).map(|n| n.alike)
        };
        for (a, b, alike) in [
            ("Canon", "Canson", NameLikeness::Letters),
            ("chandelle", "chantelle", NameLikeness::Letters),
            ("loewe", "roewe", NameLikeness::Letters),
            ("Krave", "Kravet", NameLikeness::Letters),
            ("Lacta", "Lacto", NameLikeness::Letters),
            ("Kibon", "Kiton", NameLikeness::Letters),
            ("CHIVAS", "CHIVAS REGAL", NameLikeness::FirstWords),
            ("Carolina", "Carolina Herrera", NameLikeness::FirstWords),
            ("coca cola", "Coca-Cola Zero", NameLikeness::FirstWords),
            ("timberland", "the timberland", NameLikeness::Equal),
        ] {
            assert_eq!(of(a, b), Some(alike), "{a} / {b}");
        }
        assert_eq!(of("Canon", "Kiton"), None);
        // 123: few enough to be read.
        assert!((100..200).contains(&near.len()), "{}", near.len());
    }

    #[test]
    fn pairs_that_share_pictures_come_first() {
        let brand = |name: &str| Brand {
            category: "Food".to_owned(),
            name: name.to_owned(),
        };
        let brands = ["Lacta", "Lacto", "chandelle", "chantelle"].map(brand);
        let near = near_names(&brands, &BTreeMap::from([((2, 3), 5)]));
        let listed: Vec<_> = near
            .iter()
            .map(|n| (n.brand_a.as_str(), n.images_near))
            .collect();
        assert_eq!(listed, [("chandelle", 5), ("Lacta", 0)]);
        assert!(
            near_names(
                &[brand("!!!"), brand("???"), brand("KFC"), brand("KFB")],
                &BTreeMap::new()
            )
            .is_empty()
        );
    }

    #[test]
    fn no_pair_is_lost_by_the_shortcut() {
        let brands = census();
        let names: Vec<Name> = brands
            .iter()
            .step_by(2)
            .map(|b| Name::new(&b.name))
            .collect();
        let mut similar = 0;
        for (i, a) in names.iter().enumerate() {
            for b in &names[i + 1..] {
                if strsim::jaro_winkler(&a.folded, &b.folded) >= MIN_JARO_WINKLER {
                    assert!(compare(a, b).is_some(), "{} {}", a.folded, b.folded);
                    similar += 1;
                }
            }
        }
        assert!(similar > 0);
    }
}
