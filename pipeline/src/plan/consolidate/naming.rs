//! Groups folders by their names alone: which folders form a suffix family and which names differ in case and punctuation
//! only. Names are compared in NFC, and a brand is called by it.
//! Names only bring folders together; whether two images are the same is for their content to say.

use std::collections::{BTreeMap, BTreeSet};

use logodex_schemas::dataset::ConsolidateConfig;
use logodex_schemas::plan::GroupRule;
use unicode_normalization::char::is_combining_mark;

use crate::raw::name::nfc;

/// Folders of one category that the rules take for one brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameGroup {
    /// Category.
    pub category: String,
    /// The spellings of the brand in NFC, in byte order, each with its folders: the one without a suffix first, then by number.
    pub spellings: Vec<(String, Vec<String>)>,
    /// Which rule joined them; [`GroupRule::Folder`] where none did.
    pub rule: GroupRule,
}

/// The base and the number of `base-N`, N from 1 to 99 without a leading zero.
///
/// More digits belong to a name (a model, a year); the real tree goes up to `-4`.
pub fn suffix(name: &str) -> Option<(&str, u32)> {
    let (base, digits) = name.rsplit_once('-')?;
    let plain = (1..=2).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    if base.is_empty() || !plain {
        return None;
    }
    Some((base, digits.parse().ok()?))
}

/// A name without its suffix, if it has one.
pub fn base(name: &str) -> &str {
    suffix(name).map_or(name, |s| s.0)
}

/// Whether a character tells words apart: a letter, a digit, or a mark on one. Accents, vowel signs and tone marks are no
/// punctuation; what only chooses between two pictures of a character is.
pub fn is_word(c: char) -> bool {
    let chooses = matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    c.is_alphanumeric() || (is_combining_mark(c) && !chooses)
}

/// A name in NFC and lower case, letters, digits and marks only. A name without any is left as it is, or all such were one
/// brand.
pub fn fold(name: &str) -> String {
    let folded: String = nfc(name)
        .chars()
        .filter(|&c| is_word(c))
        .flat_map(char::to_lowercase)
        .collect();
    if folded.is_empty() {
        return nfc(name);
    }
    nfc(&folded)
}

/// Groups (category, folder) pairs by the rules. Every folder lands in exactly one group; groups are sorted by
/// category and first spelling.
pub fn group(folders: &[(String, String)], rules: &ConsolidateConfig) -> Vec<NameGroup> {
    // (category, base) → folders that could be its family, each with its name in NFC.
    let mut families: BTreeMap<(&str, String), Vec<(String, &str)>> = BTreeMap::new();
    for (category, folder) in folders {
        let name = nfc(folder);
        let base = if rules.suffix_families {
            base(&name).to_owned()
        } else {
            name.clone()
        };
        let members = families.entry((category, base)).or_default();
        members.push((name, folder));
    }
    // (category, key) → spelling → folders.
    let mut groups: BTreeMap<(&str, String), BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    let mut with_family: BTreeSet<(&str, String)> = BTreeSet::new();
    for ((category, base), mut members) in families {
        let number = |name: &str| suffix(name).filter(|_| *name != base).map_or(0, |s| s.1);
        members.sort_by_cached_key(|(name, folder)| (number(name), *folder));
        let first = members[0].0.clone();
        let is_family = members.iter().any(|(name, _)| *name != first);
        // A suffix without a family belongs to the name.
        let spelling = if is_family { base } else { first };
        let key = if rules.folded_names {
            fold(&spelling)
        } else {
            spelling.clone()
        };
        if is_family {
            with_family.insert((category, key.clone()));
        }
        let spellings = groups.entry((category, key)).or_default();
        let folders = members.into_iter().map(|(_, folder)| folder);
        spellings.entry(spelling).or_default().extend(folders);
    }
    let mut named: Vec<NameGroup> = groups
        .into_iter()
        .map(|(key, spellings)| {
            let category = key.0;
            let folders: usize = spellings.values().map(Vec::len).sum();
            let is_family = with_family.contains(&key);
            // Without a family, folders of one spelling differ in its form in Unicode.
            let is_folded = spellings.len() > 1 || (folders > 1 && !is_family);
            let rule = match (is_family, is_folded) {
                (false, false) => GroupRule::Folder,
                (true, false) => GroupRule::SuffixFamily,
                (false, true) => GroupRule::FoldedName,
                (true, true) => GroupRule::SuffixFamilyAndFoldedName,
            };
            let owned = |(spelling, folders): (String, Vec<&str>)| {
                let folders = folders.into_iter().map(str::to_owned).collect();
                (spelling, folders)
            };
            NameGroup {
                category: category.to_owned(),
                spellings: spellings.into_iter().map(owned).collect(),
                rule,
            }
        })
        .collect();
    named.sort_by(|a, b| (&a.category, &a.spellings).cmp(&(&b.category, &b.spellings)));
    named
}

/// Category and name of every folder of the real tree.
#[cfg(test)]
pub(super) fn census() -> Vec<(String, String)> {
    include_str!("../../../../fixtures/census.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            Some((fields.next()?, fields.next()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> Vec<(String, String)> {
        let folder = |n: &&str| match n.split_once('/') {
            Some((category, folder)) => (category.to_owned(), folder.to_owned()),
            None => ("Food".to_owned(), (*n).to_owned()),
        };
        names.iter().map(folder).collect()
    }

    fn grouped(names: &[&str]) -> Vec<String> {
        let groups = group(&folders(names), &ConsolidateConfig::default());
        let show = |g: &NameGroup| {
            let spelling =
                |(name, folders): &(String, Vec<String>)| format!("{name}={}", folders.join("+"));
            g.spellings
                .iter()
                .map(spelling)
                .collect::<Vec<_>>()
                .join(" ~ ")
        };
        groups.iter().map(show).collect()
    }

    #[test]
    fn families_need_two_members_of_one_category() {
        assert_eq!(
            grouped(&["gree-10", "gree-2"]),
            ["gree=gree-2+gree-10"],
            "numeric order"
        );
        assert_eq!(
            grouped(&["oakley-1", "oakley"]),
            ["oakley=oakley+oakley-1"],
            "base first"
        );
        assert_eq!(grouped(&["mohawk-7"]), ["mohawk-7=mohawk-7"]);
        assert_eq!(
            grouped(&["Food/a-1", "Sports/a-2"]),
            ["a-1=a-1", "a-2=a-2"],
            "another category"
        );
        assert_eq!(
            grouped(&["atari 2600-1", "atari 2600-2"]),
            ["atari 2600=atari 2600-1+atari 2600-2"]
        );
    }

    #[test]
    fn digits_that_belong_to_the_name_are_no_suffix() {
        for name in [
            "76",
            "999",
            "timbuk2",
            "Abacus 5",
            "Cerruti 1881",
            "vo5",
            "7-Up",
            "7-PE",
            "C-IN2",
            "magic 8-ball",
            "-1",
            "a-0",
            "a-01",
            "a-737",
            "a-",
            "a-１",
            "a-+1",
        ] {
            assert_eq!(suffix(name), None, "{name}");
        }
        assert_eq!(suffix("a-b-12"), Some(("a-b", 12)));
    }

    #[test]
    fn folding_ignores_case_and_punctuation_in_any_script() {
        assert_eq!(
            grouped(&["McDonald's", "mcdonalds"]),
            ["McDonald's=McDonald's ~ mcdonalds=mcdonalds"]
        );
        assert_eq!(grouped(&["Ёлка!", "ёлка"]).len(), 1);
        assert_eq!(grouped(&["!!!", "???"]).len(), 2, "nothing left to compare");
        // Marks tell words apart: a tilde as a character of its own, Thai, Hindi, kana, Arabic.
        for (a, b) in [
            ("Pen\u{303}a", "Pena"),
            ("ไม้", "ไม"),
            ("किला", "कल"),
            ("か\u{3099}", "か"),
            ("كَتَب", "كتب"),
        ] {
            assert_eq!(grouped(&[a, b]).len(), 2, "{a} {b}");
        }
        assert_eq!(grouped(&["❤\u{fe0f} Food", "❤ food"]).len(), 1);
        // One name in two forms is one brand, whatever the rules.
        let forms = folders(&["Pe\u{f1}a", "Pen\u{303}a", "Pen\u{303}a-1"]);
        for on in [true, false] {
            let rules = ConsolidateConfig {
                suffix_families: on,
                folded_names: on,
                ..ConsolidateConfig::default()
            };
            let found = group(&forms[..2], &rules);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].rule, GroupRule::FoldedName);
            assert_eq!(found[0].spellings[0].0, "Pe\u{f1}a");
        }
        let found = group(&forms, &ConsolidateConfig::default());
        assert_eq!(found[0].rule, GroupRule::SuffixFamily);
        assert_eq!(found[0].spellings[0].1.len(), 3);
        let both = group(
            &folders(&["AB-1", "AB-2", "a.b"]),
            &ConsolidateConfig::default(),
        );
        assert_eq!(both.len(), 1);
        assert_eq!(both[0].rule, GroupRule::SuffixFamilyAndFoldedName);
        assert_eq!(grouped(&["Canon", "Canson", "loewe", "roewe"]).len(), 4);
    }

    #[test]
    fn the_real_tree_has_2863_brands() {
        let rows = census();
        assert_eq!(rows.len(), 3_000);
        let rules = |suffix_families, folded_names| ConsolidateConfig {
            suffix_families,
            folded_names,
            ..ConsolidateConfig::default()
        };
        let all = group(&rows, &rules(true, true));
        assert_eq!(all.len(), 2_863);
        assert_eq!(group(&rows, &rules(true, false)).len(), 2_864);
        assert_eq!(group(&rows, &rules(false, true)).len(), 2_999);
        assert_eq!(group(&rows, &rules(false, false)).len(), 3_000);
        let families: Vec<_> = all
            .iter()
            .filter(|g| g.rule == GroupRule::SuffixFamily)
            .collect();
        assert_eq!(families.len(), 115);
        let members: usize = families.iter().map(|g| g.spellings[0].1.len()).sum();
        assert_eq!(members, 251);
        let folded: Vec<_> = all.iter().filter(|g| g.spellings.len() > 1).collect();
        assert_eq!(folded.len(), 1);
        assert_eq!(folded[0].spellings[0].0, "McDonald's");
        // The order of the input does not matter.
        let backwards: Vec<_> = rows.iter().rev().cloned().collect();
        assert_eq!(group(&backwards, &rules(true, true)), all);
    }
}
