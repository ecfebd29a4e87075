//! Pairs images with their annotations, within one folder and by file name alone: `<filename>` is wrong in about
//! thirty real annotations.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::name::file_key;
use logodex_schemas::dataset::RejectReason;

/// What a file claims to be by its extension, whose case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `.jpg` or `.jpeg`.
    Image,
    /// `.xml`.
    Annotation,
}

impl Kind {
    /// The kind of a file with this extension, or none of ours.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Some(Self::Image),
            "xml" => Some(Self::Annotation),
            _ => None,
        }
    }
}

/// A file of a brand folder.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its name without the extension.
    pub stem: String,
    /// What it claims to be.
    pub kind: Kind,
    /// Why it must not be opened, if so.
    pub problem: Option<&'static str>,
}

/// An image and its annotation, by file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The image's stem.
    pub stem: String,
    /// The image.
    pub image: String,
    /// The annotation.
    pub annotation: String,
}

/// A file that has no place: name, reason, detail.
pub type Unpaired = (String, RejectReason, String);

/// Pairs the files of one folder, in natural stem order, whatever order they come in.
///
/// Stems are equal where only case or the form in Unicode differs, since a dataset must also survive on a file system
/// that ignores them. Of
/// two such images the first stays: the one with an annotation of exactly its stem, then `.jpg` in lower case, then
/// byte order. `others` are the names of images of kinds that are not read.
pub fn pair(files: &[Found], others: &[String]) -> (Vec<Pair>, Vec<Unpaired>) {
    let mut by_stem: BTreeMap<String, (Vec<&Found>, Vec<&Found>)> = BTreeMap::new();
    let mut sorted: Vec<&Found> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for file in sorted {
        let (images, annotations) = by_stem.entry(file_key(&file.stem)).or_default();
        match file.kind {
            Kind::Image => images.push(file),
            Kind::Annotation => annotations.push(file),
        }
    }
    let mut pairs = Vec::new();
    let mut unpaired = Vec::new();
    for (all_images, all_annotations) in by_stem.values() {
        for file in all_images.iter().chain(all_annotations) {
            if let Some(problem) = file.problem {
                let detail = problem.to_owned();
                unpaired.push((file.name.clone(), RejectReason::Unreadable, detail));
            }
        }
        let mut images: Vec<&Found> = usable(all_images);
        let annotations: Vec<&Found> = usable(all_annotations);
        let has_own = |image: &Found| annotations.iter().any(|a| a.stem == image.stem);
        images.sort_by_key(|i| (!has_own(i), !i.name.ends_with(".jpg")));
        let Some(&image) = images.first() else {
            // An image that must not be opened is already on the list.
            for annotation in annotations.iter().filter(|_| all_images.is_empty()) {
                let stem = &annotation.stem;
                let other = others.iter().find(|other| {
                    let found = other.rsplit_once('.').map_or("", |n| n.0);
                    file_key(found) == file_key(stem)
                });
                let detail = match other {
                    Some(other) => format!(
                        "{other} stands beside it, but only .jpg and .jpeg are read; convert it, or rename it to {stem}.jpg"
                    ),
                    None => format!("there is no {stem}.jpg beside it"),
                };
                unpaired.push((annotation.name.clone(), RejectReason::ImageMissing, detail));
            }
            continue;
        };
        for other in &images[1..] {
            let detail = format!("{} has the same stem and is kept", image.name);
            unpaired.push((other.name.clone(), RejectReason::DuplicateStem, detail));
        }
        let own = annotations.iter().find(|a| a.stem == image.stem);
        let Some(annotation) = own.or(annotations.first()) else {
            if all_annotations.is_empty() {
                let detail = format!("there is no {}.xml beside it", image.stem);
                unpaired.push((image.name.clone(), RejectReason::AnnotationMissing, detail));
            }
            continue;
        };
        // The annotation of a refused image goes with it; any other is one too many.
        for other in annotations.iter().filter(|a| a.name != annotation.name) {
            if !images[1..].iter().any(|i| i.stem == other.stem) {
                let detail = format!("{} has the same stem and is kept", annotation.name);
                unpaired.push((other.name.clone(), RejectReason::DuplicateStem, detail));
            }
        }
        pairs.push(Pair {
            stem: image.stem.clone(),
            image: image.name.clone(),
            annotation: annotation.name.clone(),
        });
    }
    pairs.sort_by(|a, b| natural_order(&a.stem, &b.stem));
    (pairs, unpaired)
}

fn usable<'a>(files: &[&'a Found]) -> Vec<&'a Found> {
    files
        .iter()
        .copied()
        .filter(|f| f.problem.is_none())
        .collect()
}

/// Natural stem order: whole numbers by value, however long, before everything else in byte order.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match (digits(a), digits(b)) {
        (true, true) => {
            let (short_a, short_b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            (short_a.len(), short_a, a).cmp(&(short_b.len(), short_b, b))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RejectReason::*;

    fn found(names: &[&str]) -> Vec<Found> {
        let file = |name: &&str| {
            let (stem, extension) = name.rsplit_once('.').expect("an extension");
            Found {
                name: (*name).to_owned(),
                stem: stem.to_owned(),
                kind: Kind::of_extension(extension).expect("ours"),
                problem: stem.starts_with("link").then_some("a link"),
            }
        };
        names.iter().map(file).collect()
    }

    fn outcome(names: &[&str]) -> (Vec<String>, Vec<(String, RejectReason)>) {
        let (pairs, mut unpaired) = pair(&found(names), &[]);
        unpaired.sort();
        let pairs = pairs
            .iter()
            .map(|p| format!("{}+{}", p.image, p.annotation));
        let refused = unpaired.into_iter().map(|u| (u.0, u.1));
        (pairs.collect(), refused.collect())
    }

    #[test]
    fn stems_pair_in_natural_order() {
        let (pairs, refused) = outcome(&[
            "10.xml", "10.jpg", "9.JPEG", "9.xml", "x.jpg", "x.XML", "100.jpg", "100.xml",
        ]);
        assert_eq!(
            pairs,
            [
                "9.JPEG+9.xml",
                "10.jpg+10.xml",
                "100.jpg+100.xml",
                "x.jpg+x.XML"
            ]
        );
        assert!(refused.is_empty());
    }

    #[test]
    fn orphans_are_named() {
        let (pairs, refused) = outcome(&["1.jpg", "2.xml"]);
        assert!(pairs.is_empty());
        let expected = [
            ("1.jpg".to_owned(), AnnotationMissing),
            ("2.xml".to_owned(), ImageMissing),
        ];
        assert_eq!(refused, expected);
    }

    #[test]
    fn of_two_images_with_one_stem_the_later_is_refused() {
        let (pairs, refused) = outcome(&["1.JPG", "1.jpg", "1.jpeg", "1.xml"]);
        assert_eq!(pairs, ["1.jpg+1.xml"]);
        let expected = ["1.JPG", "1.jpeg"].map(|n| (n.to_owned(), DuplicateStem));
        assert_eq!(refused, expected);
        // Each with an annotation of its own: the refused image takes its annotation along.
        let (pairs, refused) = outcome(&["a.jpg", "a.xml", "A.jpg", "A.xml"]);
        assert_eq!(pairs, ["A.jpg+A.xml"]);
        assert_eq!(refused, [("a.jpg".to_owned(), DuplicateStem)]);
        // The annotation decides where there is but one.
        let (pairs, _) = outcome(&["a.jpg", "a.xml", "A.jpg"]);
        assert_eq!(pairs, ["a.jpg+a.xml"]);
        let (pairs, refused) = outcome(&["1.jpg", "1.xml", "1.XML"]);
        assert_eq!(pairs, ["1.jpg+1.XML"]);
        assert_eq!(refused, [("1.xml".to_owned(), DuplicateStem)]);
    }

    #[test]
    fn what_must_not_be_opened_is_refused_once() {
        let (pairs, refused) = outcome(&["link1.jpg", "link1.xml", "3.jpg", "3.xml"]);
        assert_eq!(pairs, ["3.jpg+3.xml"]);
        let expected = ["link1.jpg", "link1.xml"].map(|n| (n.to_owned(), Unreadable));
        assert_eq!(refused, expected);
    }

    #[test]
    fn natural_order_is_total() {
        let mut stems = [
            "b",
            "10",
            "2",
            "02",
            "",
            "1x",
            "99999999999999999999999",
            "100000000000000000000000",
            "0",
        ];
        stems.sort_by(|a, b| natural_order(a, b));
        let expected = [
            "0",
            "02",
            "2",
            "10",
            "99999999999999999999999",
            "100000000000000000000000",
            "",
            "1x",
            "b",
        ];
        assert_eq!(stems, expected);
    }
}
