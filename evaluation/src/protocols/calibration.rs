//! Thresholds to take along: what the open-set protocol sets on validation brands, for galleries of several sizes, so that a
//! gallery of any size finds a threshold, and what a threshold stands for.

use anyhow::Result;
use logodex_schemas::onnx::{CalibratedGallery, CalibratedThreshold};
use rayon::prelude::*;

use crate::embeddings::fold_index::FoldIndex;
use crate::metrics::roc::{Draw, Strangers};
use crate::protocols::open_set::{half, probes, val_draws};
use logodex_embeddings::set::EmbeddingSet;

/// The false-accept rates that thresholds are set for, highest first; those of the evaluation are among them.
pub const RATES: [f64; 9] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

/// Thresholds for galleries of 1, 2, 4, … and half of the brands of `val`, for each number of pictures per brand in `shots`; that
/// for half of them is the evaluation's. None for a number of pictures that too few brands have.
///
/// # Errors
/// Fewer than two brands, or embeddings that no one can use.
pub fn calibrate(
    val: &EmbeddingSet,
    image_of_row: &dyn Fn(i64) -> i64,
    seed: u64,
    shots: &[u32],
) -> Result<Vec<CalibratedGallery>> {
    val.check()?;
    let fold = FoldIndex::new(val, image_of_row)?;
    let vectors = fold.unit_vectors(val);
    let mut all = Vec::new();
    for &shots in shots {
        let Some(most) = half(&fold, shots) else {
            continue;
        };
        let doubled = std::iter::successors(Some(1), |size| Some(size * 2));
        let sizes = doubled.take_while(|size| *size < most).chain([most]);
        for enrolled in sizes {
            let galleries = val_draws(seed, (&fold, shots), enrolled);
            let draw = |gallery| probes(&fold, &vectors, gallery);
            let draws: Vec<Draw> = galleries.par_iter().map(draw).collect();
            let strangers = Strangers::of(&draws);
            let threshold = |far| {
                let (similarity, false_accepts) = strangers.threshold_and_accepted(far);
                CalibratedThreshold {
                    far,
                    similarity,
                    false_accepts,
                }
            };
            all.push(CalibratedGallery {
                shots,
                enrolled: enrolled as u32,
                unknown_probes: strangers.len(),
                thresholds: RATES.map(threshold).into(),
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Subject, evaluate};
    use crate::facts::Facts;
    use crate::metrics::roc::FARS;
    use crate::settings::{Protocol, Settings};

    /// Brands about a direction each, and rows about their brand.
    fn set(brands: std::ops::Range<i64>, rows: i64) -> EmbeddingSet {
        let dim = 8;
        let mut embeddings = Vec::new();
        let draw = |name: &str, at: [u64; 3]| {
            logodex_schemas::random::derive(1, name, &at) as f64 / u64::MAX as f64 - 0.5
        };
        for brand in brands.clone() {
            for row in 0..rows {
                for i in 0..dim {
                    let (brand, row) = (brand as u64, row as u64);
                    let x = draw("brand", [brand, i, 0]) + 0.8 * draw("row", [brand, row, i]);
                    embeddings.push(x as f32);
                }
            }
        }
        EmbeddingSet {
            dim: dim as usize,
            embeddings,
            brand: brands
                .clone()
                .flat_map(|b| std::iter::repeat_n(b, rows as usize))
                .collect(),
            row: (brands.start * rows..brands.end * rows).collect(),
        }
    }

    #[test]
    fn half_of_the_brands_give_the_thresholds_of_the_evaluation() {
        let (val, test) = (set(0..12, 9), set(12..24, 9));
        let settings = Settings {
            protocols: vec![Protocol::OpenSet],
            resamples: 10,
            ..Settings::default()
        };
        let facts = Facts {
            image_of_row: Box::new(|row| row),
            brand_name: Box::new(|brand| format!("brand {brand}")),
            category: Box::new(|_| String::new()),
            logo: None,
        };
        let subject = Subject {
            name: "mine",
            test: &test,
            val: Some(&val),
        };
        let judged = evaluate(subject, &[], &facts, &settings).unwrap();
        let found = calibrate(&val, &|row| row, settings.seed, &settings.shots).unwrap();
        let expected = judged.evaluation.open_set_thresholds;
        assert_eq!(expected.len(), settings.shots.len() * FARS.len());
        for threshold in expected {
            let gallery = found
                .iter()
                .find(|g| (g.shots, g.enrolled) == (threshold.shots, threshold.enrolled))
                .unwrap();
            assert!(
                gallery.thresholds.iter().any(|own| {
                    (own.far, own.similarity) == (threshold.far, threshold.similarity)
                })
            );
        }
    }

    #[test]
    fn a_threshold_accepts_no_more_than_it_was_set_for_and_rises_with_the_gallery() {
        let found = calibrate(&set(0..12, 9), &|row| row, 42, &[1, 5, 9]).unwrap();
        let sizes: Vec<(u32, u32)> = found.iter().map(|g| (g.shots, g.enrolled)).collect();
        // No brand has nine pictures and one to ask about.
        let expected = [1, 5].map(|shots| [1, 2, 4, 6].map(|enrolled| (shots, enrolled)));
        assert_eq!(sizes, expected.concat());
        for gallery in &found {
            let mut before = f64::NEG_INFINITY;
            for threshold in &gallery.thresholds {
                let share = threshold.false_accepts as f64 / gallery.unknown_probes as f64;
                assert!(share <= threshold.far, "{gallery:?}");
                assert!(threshold.similarity >= before, "{gallery:?}");
                before = threshold.similarity;
            }
        }
        let at_a_tenth = |enrolled| {
            let gallery = found
                .iter()
                .find(|g| (g.shots, g.enrolled) == (1, enrolled));
            gallery.unwrap().thresholds[2].similarity
        };
        assert!(at_a_tenth(1) < at_a_tenth(6));
    }

    #[test]
    fn too_few_brands_give_no_threshold_and_one_is_told() {
        assert_eq!(calibrate(&set(0..3, 9), &|row| row, 42, &[1]).unwrap(), []);
        assert!(calibrate(&set(0..1, 9), &|row| row, 42, &[1]).is_err());
    }
}
