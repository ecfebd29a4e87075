//! Findings about the quality of pictures: dark, light, blurry, without information, grey, of an odd size or shape. What is
//! measured, and how, `logodex_pixels::quality` says; here are the limits. All of it is suspicion: a brand may be white on black.

use logodex_schemas::plan::audit::{Finding, FindingKind, FlaggedPicture, QualityLimits};

use crate::audit::finding::{Tree, finding};
use crate::audit::gallery::Gallery;
use crate::plan::placement::Fate;
use crate::raw::scan::RawSample;

/// CleanVision's: a picture is dark of which 99 % of the pixels stay below this brightness.
const DARK_BELOW: f64 = 0.32;
/// CleanVision's: a picture is light of which 95 % of the pixels lie above this brightness.
const LIGHT_ABOVE: f64 = 0.95;
/// CleanVision's: a picture of less entropy, in bits, holds next to nothing.
const ENTROPY_BELOW: f64 = 3.0;
/// With the outermost pixels, which are no edges, CleanVision has 34. Of photographs of about 500 × 375 pixels 99 in 100 lie
/// above 26, and four in five of the same after a Gaussian blur of radius 10 lie below 22.
const BLURRY_EDGES_BELOW: f64 = 22.0;
/// Above this a picture without edges is a drawing: two thirds of it are of one tone. CleanVision has 20, and so passes by what
/// is blurry on a plain ground.
const BLURRY_TONES_BELOW: f64 = 120.0;
/// JPEG leaves that much colour in what has none.
const GREY_UP_TO: u8 = 10;
/// CleanVision's: the shorter side in parts of the longer.
const ASPECT_BELOW: f64 = 0.35;
/// CleanVision's: sizes so many interquartile ranges beyond the quartiles are odd.
const IQR_FACTOR: f64 = 3.0;
/// Where nearly all pictures are of one size, an interquartile range of this part of the median is meant.
const LEAST_IQR: f64 = 0.1;
/// A picture whose shorter side has fewer pixels is small in any tree.
const SMALL_PX: u32 = 64;

/// The kinds that are about quality, in the order in which they are told.
const KINDS: [FindingKind; 7] = [
    FindingKind::LowInformation,
    FindingKind::BlurryPictures,
    FindingKind::DarkPictures,
    FindingKind::LightPictures,
    FindingKind::OddSize,
    FindingKind::OddAspect,
    FindingKind::GreyPictures,
];

/// The limits for a tree: what an odd size is, its own pictures say.
pub fn limits(tree: &Tree<'_>) -> QualityLimits {
    let kept = tree.scan.samples.iter().zip(&tree.placement.fates);
    let kept = kept.filter(|(_, fate)| matches!(fate, Fate::Kept(..)));
    let mut sizes: Vec<f64> = kept.map(|(sample, _)| size(sample)).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let quartile = |part: f64| match sizes.len() {
        0 => 0.0,
        n => sizes[((n - 1) as f64 * part).round() as usize],
    };
    let (first, median, third) = (quartile(0.25), quartile(0.5), quartile(0.75));
    let range = IQR_FACTOR * (third - first).max(LEAST_IQR * median);
    QualityLimits {
        dark_below: DARK_BELOW,
        light_above: LIGHT_ABOVE,
        entropy_below: ENTROPY_BELOW,
        blurry_edges_below: BLURRY_EDGES_BELOW,
        blurry_tones_below: BLURRY_TONES_BELOW,
        grey_up_to: GREY_UP_TO,
        aspect_below: ASPECT_BELOW,
        size_from: rounded((first - range).max(0.0)),
        size_to: rounded(third + range),
        side_from: SMALL_PX,
    }
}

/// One finding of each kind for every folder that has such pictures.
pub fn findings(
    tree: &Tree<'_>,
    limits: &QualityLimits,
    gallery: &mut Gallery<'_>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (category, folder) in tree.folders() {
        let samples = tree.folder(category, folder);
        let kept = samples.filter(|&i| matches!(tree.placement.fates[i], Fate::Kept(..)));
        let kept: Vec<usize> = kept.collect();
        for kind in KINDS {
            let value = |&i: &usize| Some((flagged(&tree.scan.samples[i], kind, limits)?, i));
            let mut flagged: Vec<(f64, usize)> = kept.iter().filter_map(value).collect();
            if flagged.is_empty() {
                continue;
            }
            // The worst first.
            let is_worse_if_more = kind == FindingKind::LightPictures;
            flagged.sort_by(|a, b| match is_worse_if_more {
                true => b.0.total_cmp(&a.0),
                false => a.0.total_cmp(&b.0),
            });
            found.push(of_folder(
                tree,
                kind,
                (category, folder),
                &flagged,
                limits,
                gallery,
            ));
        }
    }
    found
}

fn of_folder(
    tree: &Tree<'_>,
    kind: FindingKind,
    (category, folder): (&str, &str),
    flagged: &[(f64, usize)],
    limits: &QualityLimits,
    gallery: &mut Gallery<'_>,
) -> Finding {
    let brand = tree.brand_name(category, folder);
    // Named by its folder, so that what was accepted stays so when a picture is added.
    let mut found = finding(kind, brand, vec![format!("{category}/{folder}")]);
    let image = |&(_, i): &(f64, usize)| tree.scan.samples[i].image.clone();
    found.subjects = flagged.iter().map(image).collect();
    let which = match flagged.len() {
        1 => "One picture is".to_owned(),
        n => format!("{n} pictures are"),
    };
    found.says = format!("{which} {}.", because(kind, limits));
    found.otherwise = "Such pictures are kept.".to_owned();
    found.weight = flagged.len() as u64;
    let row = |&(value, i): &(f64, usize)| FlaggedPicture {
        image: tree.scan.samples[i].image.clone(),
        value,
    };
    found.flagged = flagged.iter().map(row).collect();
    let samples: Vec<usize> = flagged.iter().map(|&(_, i)| i).collect();
    gallery.show(&mut found, &samples);
    found
}

/// What a picture of this kind is, with the limit.
fn because(kind: FindingKind, limits: &QualityLimits) -> String {
    match kind {
        FindingKind::DarkPictures => format!(
            "dark: 99 % of the pixels have a brightness below {}",
            limits.dark_below
        ),
        FindingKind::LightPictures => format!(
            "light: 95 % of the pixels have a brightness above {}",
            limits.light_above
        ),
        FindingKind::LowInformation => format!(
            "nearly empty: an entropy of less than {} bits",
            limits.entropy_below
        ),
        FindingKind::BlurryPictures => format!(
            "blurry: edges of less than {} at 64 pixels",
            limits.blurry_edges_below
        ),
        FindingKind::GreyPictures => format!(
            "without colour: red, green and blue differ by at most {}",
            limits.grey_up_to
        ),
        FindingKind::OddAspect => format!(
            "of an odd shape: the shorter side is less than {} of the longer",
            limits.aspect_below
        ),
        _ => format!(
            "of an odd size: a side of less than {} pixels, or √(width × height) not in {} to {}",
            limits.side_from, limits.size_from, limits.size_to
        ),
    }
}

/// The number that makes a picture one of this kind; none if it is none.
fn flagged(sample: &RawSample, kind: FindingKind, limits: &QualityLimits) -> Option<f64> {
    let (width, height) = (sample.seen.width, sample.seen.height);
    let (shorter, longer) = (width.min(height), width.max(height));
    let (value, is) = match kind {
        FindingKind::OddAspect => {
            let value = f64::from(shorter) / f64::from(longer);
            (value, value < limits.aspect_below)
        }
        FindingKind::OddSize => {
            let value = size(sample);
            let usual = limits.size_from..=limits.size_to;
            (value, shorter < limits.side_from || !usual.contains(&value))
        }
        _ => {
            let quality = sample.seen.quality?;
            let f = f64::from;
            match kind {
                FindingKind::DarkPictures => {
                    let value = f(quality.brightness_99);
                    (value, value < limits.dark_below)
                }
                FindingKind::LightPictures => {
                    let value = f(quality.brightness_5);
                    (value, value > limits.light_above)
                }
                FindingKind::LowInformation => {
                    let value = f(quality.entropy);
                    (value, value < limits.entropy_below)
                }
                FindingKind::BlurryPictures => {
                    let value = f(quality.edges);
                    let few_tones = f(quality.tones) >= limits.blurry_tones_below;
                    (value, value < limits.blurry_edges_below && !few_tones)
                }
                _ => {
                    let value = f64::from(quality.color);
                    (value, quality.color <= limits.grey_up_to)
                }
            }
        }
    };
    is.then(|| rounded(value))
}

/// The side of the square of as many pixels.
fn size(sample: &RawSample) -> f64 {
    (f64::from(sample.seen.width) * f64::from(sample.seen.height)).sqrt()
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
