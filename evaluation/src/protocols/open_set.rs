//! Open-set identification: half of the test brands are enrolled with K pictures each, and what is asked about shows
//! an enrolled brand or a stranger. A probe is accepted when its best similarity to a prototype reaches the threshold,
//! and then named after that prototype.
//!
//! Rates over a threshold are read off galleries of half of the test brands. A threshold that is transferred from
//! validation brands is set and tried on galleries of one size.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{CurveRow, OpenSetThreshold};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::embeddings::fold_index::FoldIndex;
use crate::embeddings::prototypes::prototypes;
use crate::intervals::tally::{Asked, Tally};
use crate::metrics::roc;
use crate::metrics::roc::{Draw, FARS, Probe, Strangers};
use crate::protocols::episode::{eligible, rows_text, supports};
use logodex_embeddings::unit_vectors::UnitVectors;
use logodex_schemas::random::stream;

/// Name of the protocol.
pub const OPEN_SET: &str = "open_set";
/// Draws of enrolled brands and supports, over which every metric is a mean.
pub const DRAWS: u64 = 10;

/// The draws of one K.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Galleries {
    /// K.
    pub shots: u32,
    /// Draws of test brands, half of them enrolled.
    pub test: Vec<Gallery>,
    /// What a threshold is transferred by; none when too few validation brands have enough pictures.
    pub transfer: Option<Transfer>,
}

/// Galleries of one size in both folds. A probe's score is its best over the gallery, which rises with the number of
/// brands enrolled: set on a smaller gallery, a threshold would accept more strangers than it was set for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Brands enrolled in every draw.
    pub enrolled: usize,
    /// Draws of validation brands, on which the threshold is set.
    pub val: Vec<Gallery>,
    /// Draws of test brands, on which it is tried.
    pub test: Vec<Gallery>,
}

/// The enrolled brands of one draw, as places in [`FoldIndex::brands`], with their supports.
pub type Gallery = Vec<(usize, Vec<usize>)>;

/// The draws for each K of `shots`. None where fewer than two brands could be enrolled or fewer than two stay unknown.
pub fn draw(seed: u64, shots: u32, test: &FoldIndex, val: Option<&FoldIndex>) -> Option<Galleries> {
    let half = half(test, shots)?;
    let draw = |name, fold, enrolled| draws(seed, name, (fold, shots), enrolled);
    let transfer = val.and_then(|val| {
        let enrolled = half.min(self::half(val, shots)?);
        Some(Transfer {
            enrolled,
            val: val_draws(seed, (val, shots), enrolled),
            test: draw("open-set transfer draws", test, enrolled),
        })
    });
    Some(Galleries {
        shots,
        test: draw("open-set draws", test, half),
        transfer,
    })
}

/// The draws of `enrolled` validation brands, on which a threshold is set.
pub(super) fn val_draws(seed: u64, of: (&FoldIndex, u32), enrolled: usize) -> Vec<Gallery> {
    draws(seed, "open-set val draws", of, enrolled)
}

/// How many brands are enrolled where half of them are, or all that have the pictures for it.
pub(super) fn half(fold: &FoldIndex, shots: u32) -> Option<usize> {
    let enrolled = eligible(fold, shots).len().min(fold.brands.len() / 2);
    (enrolled >= 2 && fold.brands.len() >= enrolled + 2).then_some(enrolled)
}

fn draws(seed: u64, name: &str, (fold, shots): (&FoldIndex, u32), enrolled: usize) -> Vec<Gallery> {
    let brands = eligible(fold, shots);
    let draw = |draw| {
        let mut rng = stream(seed, name, &[shots.into(), draw]);
        let mut brands = brands.clone();
        brands.shuffle(&mut rng);
        brands.truncate(enrolled);
        brands
            .into_iter()
            .map(|brand| (brand, supports(&fold.brands[brand], shots, &mut rng)))
            .collect()
    };
    (0..DRAWS).map(draw).collect()
}

/// The probes of a draw: every row whose source image is no support. Known: of an enrolled brand.
pub fn probes(fold: &FoldIndex, vectors: &UnitVectors, gallery: &Gallery) -> Draw {
    let supports: Vec<&[usize]> = gallery.iter().map(|(_, supports)| &**supports).collect();
    let prototypes = prototypes(vectors, &supports);
    let mut enrolled = vec![None; fold.brands.len()];
    for (place, (brand, _)) in gallery.iter().enumerate() {
        enrolled[*brand] = Some(place);
    }
    let mut shown: Vec<i64> = supports
        .iter()
        .flat_map(|s| s.iter().map(|&p| fold.images[p]))
        .collect();
    shown.sort_unstable();
    let asked: Vec<usize> = (0..fold.len())
        .filter(|&p| shown.binary_search(&fold.images[p]).is_err())
        .collect();
    let owners = fold.brand_of_position();
    let mut probes = Vec::with_capacity(asked.len());
    prototypes.each(vectors, &asked, |position, similarities| {
        let mut best = (0, f32::NEG_INFINITY);
        for (place, &similarity) in similarities.iter().enumerate() {
            if similarity > best.1 {
                best = (place, similarity);
            }
        }
        let brand = owners[position];
        let truth = enrolled[brand as usize];
        probes.push(Probe {
            score: best.1.into(),
            brand,
            known: truth.is_some(),
            named: truth == Some(best.0),
        });
    });
    Draw::new(probes)
}

/// Adds the metrics of a model and returns its thresholds and curves.
///
/// Every metric is the mean over the draws. In a resample each brand's probes count as often as the brand was drawn;
/// who is enrolled stays. Where a threshold is transferred, validation brands are resampled, too, and it is set anew.
pub fn judge(
    tally: &mut Tally,
    (fold, vectors): (&FoldIndex, &UnitVectors),
    val: Option<(&FoldIndex, &UnitVectors)>,
    drawn: &Galleries,
) -> (Vec<OpenSetThreshold>, Vec<CurveRow>) {
    let all = |fold: &FoldIndex, vectors: &UnitVectors, galleries: &[Gallery]| -> Vec<Draw> {
        let draw = |gallery| probes(fold, vectors, gallery);
        galleries.par_iter().map(draw).collect()
    };
    let draws = all(fold, vectors, &drawn.test);
    let asked = Asked::all(OPEN_SET, drawn.shots);
    let resamples = tally.bootstrap.of(fold.brands.len());
    let estimates = resamples.estimates(|weights| roc::mean(&draws, |draw| draw.curve(weights)));
    for (metric, estimate) in roc::METRICS.iter().zip(estimates) {
        tally.push(asked, metric, estimate);
    }
    let mut thresholds = Vec::new();
    if let Some(((val_fold, val_vectors), transfer)) = val.zip(drawn.transfer.as_ref()) {
        let strangers = Strangers::of(&all(val_fold, val_vectors, &transfer.val));
        let draws = all(fold, vectors, &transfer.test);
        let val_brands = val_fold.brands.len();
        let val_resamples = tally.bootstrap.of_validation(val_brands);
        let estimates = resamples.estimates_with(&val_resamples, |weights, val_weights| {
            let taus = strangers.thresholds(val_weights);
            roc::mean(&draws, |draw| draw.at(&taus?, weights))
        });
        let names = ["far_at_val", "dir_at_val", "far_error_at_val"];
        for (i, estimate) in estimates.into_iter().enumerate() {
            let (_, far) = FARS[i % FARS.len()];
            let name = names[i / FARS.len()];
            tally.push(asked, &format!("{name}_{far}"), estimate);
        }
        let taus = strangers.thresholds(&vec![1; val_brands]);
        for ((far, _), similarity) in FARS.into_iter().zip(taus.into_iter().flatten()) {
            thresholds.push(OpenSetThreshold {
                region: tally.region,
                shots: drawn.shots,
                enrolled: transfer.enrolled as u32,
                far,
                similarity,
            });
        }
    }
    let curves = roc::curves(&draws, fold.brands.len());
    let curves = curves.into_iter().flat_map(|(far, tar, dir)| {
        [("roc", tar), ("dir", dir)].map(|(curve, y)| CurveRow {
            model: tally.model.to_owned(),
            region: tally.region,
            protocol: OPEN_SET.to_owned(),
            shots: drawn.shots,
            curve: curve.to_owned(),
            x: far,
            y,
        })
    });
    (thresholds, curves.collect())
}

/// `episodes/<region>/open_set_<K>.csv`: a line per draw and enrolled brand; every row of the fold of another source
/// image than the supports' is a probe. `test` and `transfer` are of test brands, `val_threshold` of validation brands.
pub fn list(
    region: Region,
    test: &FoldIndex,
    val: Option<&FoldIndex>,
    drawn: &Galleries,
) -> (String, Vec<u8>) {
    let mut text = String::from("used_for,draw,brand,supports\n");
    let mut sets = vec![("test", test, &drawn.test)];
    if let Some((val, transfer)) = val.zip(drawn.transfer.as_ref()) {
        sets.push(("val_threshold", val, &transfer.val));
        sets.push(("transfer", test, &transfer.test));
    }
    for (set, fold, draws) in sets {
        for (number, gallery) in draws.iter().enumerate() {
            for (brand, supports) in gallery {
                let index = fold.brands[*brand].index;
                let rows = rows_text(fold, supports.iter().copied());
                text += &format!("{set},{number},{index},{rows}\n");
            }
        }
    }
    let name = crate::settings::region_name(region);
    (
        format!("episodes/{name}/{OPEN_SET}_{}.csv", drawn.shots),
        text.into_bytes(),
    )
}
