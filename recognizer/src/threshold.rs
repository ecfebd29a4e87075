//! From which similarity on a brand is named, and how often a stranger is at that.
//!
//! A stranger is taken for an enrolled brand when its *best* similarity, over all N enrolled brands, reaches the threshold. So
//! what is calibrated is the best over a gallery, not a single comparison: on strangers (pictures of brands that are not
//! enrolled), each compared with N₀ brands. Over N brands, each of which a stranger reaches as often as one of the N₀ and
//! independently of the others, a threshold with the rate r₀ has the rate 1 − (1 − r₀)^(N / N₀).

use std::fmt::Display;

use anyhow::Result;
use logodex_program::usage;
use logodex_schemas::gallery::GalleryCalibration;
use logodex_schemas::onnx::{CalibratedGallery, Calibration, ModelMetadata};

use crate::command::table::{count, percent};

/// A threshold on the similarity to a brand's prototype.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// A brand is named from this similarity on.
    pub similarity: f64,
    /// The share of strangers that are named at this gallery's size; none where nobody knows.
    pub rate: Option<f64>,
    /// What it rests on, for a person.
    pub basis: String,
    /// What a person should know of it, if anything: that it is not as strict as was asked for, for example.
    pub caution: Option<String>,
}

impl Threshold {
    /// One that was typed.
    pub fn given(similarity: f64) -> Self {
        Self {
            similarity,
            rate: None,
            basis: "given".to_owned(),
            caution: None,
        }
    }

    /// What it stands for over so many brands, in a sentence.
    pub fn explained(&self, brands: usize) -> String {
        let brands = count(brands, "brand");
        match self.rate {
            Some(rate) => format!(
                "named from {:.3} on, which over {brands} takes {} of strangers for an enrolled brand (by {})",
                self.similarity,
                percent(rate),
                self.basis
            ),
            None => format!(
                "named from {:.3} on, as typed: how many strangers that takes for one of {brands} is not known",
                self.similarity
            ),
        }
    }

    /// Whether a brand of this similarity is named.
    pub fn accepts(&self, similarity: f32) -> bool {
        f64::from(similarity) >= self.similarity
    }
}

/// Whether a false-accept rate is one.
///
/// # Errors
/// [`logodex_program::Failure::Usage`].
pub fn check_rate(rate: f64) -> Result<()> {
    match rate > 0.0 && rate < 1.0 {
        true => Ok(()),
        false => Err(usage(format!(
            "false-accept rate {rate}: it must lie between 0 and 1, as 0.01 does"
        ))),
    }
}

/// From which similarity on a brand is named, so that of all strangers no more than `target` are: by the calibration of the gallery
/// at `place` or, where it has none, the model's. `enrolled` brands, and pictures of each.
///
/// # Errors
/// [`logodex_program::Failure::Usage`] for a rate that is none, or where neither is calibrated.
pub fn of(
    place: &impl Display,
    own: Option<&GalleryCalibration>,
    model: &ModelMetadata,
    (enrolled, shots): (u64, u64),
    target: f64,
) -> Result<Threshold> {
    check_rate(target)?;
    if let Some(calibration) = own {
        return Ok(of_gallery(calibration, enrolled, target));
    }
    let calibration = model.calibration.as_ref();
    let found = calibration.and_then(|c| of_model(c, enrolled, shots, target));
    found.ok_or_else(|| {
        usage(format!(
            "neither the gallery nor its model is calibrated, so nothing says from which similarity on a brand is to be named: run `logodex calibrate --gallery {place}`, or give --threshold"
        ))
    })
}

/// The rate over `enrolled` brands of what has the rate `rate` over `calibrated` of them.
fn scaled(rate: f64, calibrated: u64, enrolled: u64) -> f64 {
    // ln_1p and exp_m1 keep small rates exact.
    -f64::exp_m1(f64::ln_1p(-rate) * enrolled as f64 / calibrated as f64)
}

/// The lowest threshold whose rate over `enrolled` brands is at most `target`, by a gallery's own calibration. Where the
/// strangers are too few for that, the lowest that none of them reaches.
pub fn of_gallery(calibration: &GalleryCalibration, enrolled: u64, target: f64) -> Threshold {
    let GalleryCalibration {
        enrolled: calibrated,
        pictures,
        best,
        ..
    } = calibration;
    let enrolled = enrolled.max(1);
    let (calibrated, n) = ((*calibrated).max(1), *pictures as f64);
    let aimed = scaled(target, enrolled, calibrated);
    // What is not in the tail is lower than all of it, and more of it is accepted than is ever asked for.
    let mut accepted = ((aimed * n + 1e-9) as usize).min(best.len().saturating_sub(1));
    // Equal similarities are accepted together or not at all.
    while accepted > 0 && best[accepted - 1] == best[accepted] {
        accepted -= 1;
    }
    let similarity = best.get(accepted).map_or(1.0, |x| f64::from(x.next_up()));
    // Of n strangers none accepted tells that the next one is accepted in one case of n + 1 at most.
    let rate = scaled(
        (accepted as f64 / n).max(1.0 / (n + 1.0)),
        calibrated,
        enrolled,
    );
    Threshold {
        similarity,
        rate: Some(rate),
        basis: format!("{pictures} pictures of strangers, each compared with {calibrated} brands"),
        caution: too_few(rate, target, *pictures),
    }
}

fn too_few(rate: f64, target: f64, strangers: u64) -> Option<String> {
    (rate > target * 1.0001).then(|| {
        format!(
            "{strangers} pictures of strangers cannot tell a false-accept rate of {target} at this gallery's size: the threshold is one that none of them reaches, which tells {rate:.2} at most; calibrate with more pictures for a firmer one"
        )
    })
}

/// The lowest threshold whose rate over `enrolled` brands of `shots` pictures each is at most `target`, by the calibration that
/// came with the model; where there is none so strict, its strictest. None where the model has none at all.
pub fn of_model(
    calibration: &Calibration,
    enrolled: u64,
    shots: u64,
    target: f64,
) -> Option<Threshold> {
    let enrolled = enrolled.max(1);
    let gallery = likest(calibration, enrolled, shots.max(1))?;
    let rate_of = |far: f64| {
        // The draws ask about the same pictures again and again: these are what tells something.
        let strangers = gallery.unknown_probes.min(calibration.rows);
        let least = 1.0 / (strangers as f64 + 1.0);
        scaled(far.max(least), u64::from(gallery.enrolled.max(1)), enrolled)
    };
    let rated = gallery
        .thresholds
        .iter()
        .map(|threshold| (threshold.similarity, rate_of(threshold.far)));
    let good = rated.clone().filter(|(_, rate)| *rate <= target * 1.0001);
    let (similarity, rate) = good
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .or_else(|| rated.max_by(|a, b| a.0.total_cmp(&b.0)))?;
    let caution = (rate > target * 1.0001).then(|| {
        format!(
            "the model's calibration has no threshold as strict as a false-accept rate of {target} at this gallery's size: its strictest stands for {rate:.2}; `logodex calibrate` finds one for this gallery"
        )
    });
    Some(Threshold {
        similarity,
        rate: Some(rate),
        basis: format!(
            "the model's calibration on {} validation brands of split {:?}: {} enrolled with {} pictures each",
            calibration.brands.len(),
            calibration.split,
            gallery.enrolled,
            gallery.shots
        ),
        caution,
    })
}

/// The calibrated gallery most like one of so many brands and pictures per brand: first by pictures, since a prototype of
/// several is nearer to all that it meets; then by brands. Of two as near the larger, whose thresholds are the stricter.
fn likest(calibration: &Calibration, enrolled: u64, shots: u64) -> Option<&CalibratedGallery> {
    let apart = |a: u32, b: u64| (f64::from(a.max(1)).ln() - (b as f64).ln()).abs();
    let usable = calibration.galleries.iter().filter(|gallery| {
        gallery.unknown_probes > 0 && !gallery.thresholds.is_empty() && gallery.enrolled > 0
    });
    usable.min_by(|a, b| {
        let by = |gallery: &CalibratedGallery| {
            (
                apart(gallery.shots, shots),
                apart(gallery.enrolled, enrolled),
            )
        };
        let (a_by, b_by) = (by(a), by(b));
        a_by.0
            .total_cmp(&b_by.0)
            .then(a_by.1.total_cmp(&b_by.1))
            .then(b.enrolled.cmp(&a.enrolled))
    })
}

#[cfg(test)]
mod tests {
    use logodex_schemas::dataset::Region;
    use logodex_schemas::gallery::Strangers;
    use logodex_schemas::onnx::CalibratedThreshold;
    use logodex_schemas::random::stream;
    use rand::Rng;

    use super::*;

    /// The best of so many similarities, each as likely anywhere from 0 to 1.
    fn best_of(brands: u64, rng: &mut impl Rng) -> f32 {
        (0..brands)
            .map(|_| rng.random_range(0.0..1.0f32))
            .fold(0.0, f32::max)
    }

    fn calibrated(enrolled: u64, pictures: u64) -> GalleryCalibration {
        let mut rng = stream(3, "strangers", &[enrolled, pictures]);
        let mut best: Vec<f32> = (0..pictures).map(|_| best_of(enrolled, &mut rng)).collect();
        best.sort_unstable_by(|a, b| b.total_cmp(a));
        GalleryCalibration {
            strangers: Strangers::Enrolled,
            enrolled,
            pictures,
            brands: None,
            best,
        }
    }

    #[test]
    fn a_threshold_holds_its_rate_over_more_and_over_fewer_brands_than_it_was_calibrated_with() {
        let calibration = calibrated(20, 5_000);
        for (enrolled, target) in [(20, 0.05), (100, 0.05), (4, 0.05), (100, 0.2)] {
            let threshold = of_gallery(&calibration, enrolled, target);
            assert_eq!(threshold.caution, None, "{enrolled}");
            let rate = threshold.rate.unwrap();
            assert!(rate <= target && rate > 0.7 * target, "{enrolled}: {rate}");
            let mut rng = stream(4, "new strangers", &[enrolled]);
            let n = 20_000;
            let named = (0..n)
                .filter(|_| threshold.accepts(best_of(enrolled, &mut rng)))
                .count();
            let seen = named as f64 / f64::from(n);
            assert!(
                (seen - rate).abs() < 0.25 * rate,
                "{enrolled}: {seen}, told {rate}"
            );
        }
        // What is taken for the rate of a single comparison would let through five times as many.
        let naive = of_gallery(&calibration, 20, 0.05).similarity;
        let mut rng = stream(5, "naive", &[]);
        let named = (0..2_000)
            .filter(|_| f64::from(best_of(100, &mut rng)) >= naive)
            .count();
        assert!(named > 300, "{named}");
    }

    #[test]
    fn equal_similarities_are_accepted_together_or_not_at_all() {
        let mut calibration = calibrated(2, 10);
        calibration.best = vec![0.9, 0.8, 0.8, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
        for (target, accepted) in [(0.1, 1), (0.2, 1), (0.31, 1), (0.4, 4), (0.5, 5)] {
            let threshold = of_gallery(&calibration, 2, target);
            let counted = calibration
                .best
                .iter()
                .filter(|s| threshold.accepts(**s))
                .count();
            assert_eq!(counted, accepted, "{target}");
            assert_eq!(
                threshold.rate.map(|rate| (rate * 100.0).round()),
                Some(f64::from(accepted as u32) * 10.0)
            );
        }
    }

    #[test]
    fn too_few_strangers_tell_no_low_rate_and_say_so() {
        let calibration = calibrated(5, 30);
        let threshold = of_gallery(&calibration, 5, 0.001);
        assert!(
            calibration
                .best
                .iter()
                .all(|best| !threshold.accepts(*best))
        );
        assert!((threshold.rate.unwrap() - 1.0 / 31.0).abs() < 1e-9);
        assert!(threshold.caution.unwrap().contains("30 pictures"));
    }

    #[test]
    fn of_a_models_thresholds_the_lowest_is_taken_that_is_strict_enough_at_this_size() {
        let gallery = |shots, enrolled, shift: f64| CalibratedGallery {
            shots,
            enrolled,
            unknown_probes: 10_000,
            thresholds: [(0.1, 0.5), (0.01, 0.6), (0.001, 0.7)]
                .map(|(far, similarity)| CalibratedThreshold {
                    far,
                    similarity: similarity + shift,
                    false_accepts: 0,
                })
                .to_vec(),
        };
        let calibration = Calibration {
            region: Region::Image,
            split: "s".to_owned(),
            split_blake3: String::new(),
            seed: 1,
            draws: 10,
            rows: 1_000,
            brands: vec!["a".to_owned(); 40],
            seen_brands: vec![],
            galleries: vec![
                gallery(1, 10, 0.0),
                gallery(5, 10, 0.1),
                gallery(5, 20, 0.11),
            ],
        };
        let found =
            |enrolled, shots, target| of_model(&calibration, enrolled, shots, target).unwrap();
        let exact = found(10, 1, 0.01);
        assert_eq!((exact.similarity, exact.caution), (0.6, None));
        assert!((exact.rate.unwrap() - 0.01).abs() < 1e-12);
        // Ten times the brands: what let 1 % through lets nearly 10 % through.
        assert_eq!(found(100, 1, 0.01).similarity, 0.7);
        assert!((found(100, 1, 0.01).rate.unwrap() - 0.01).abs() < 1e-4);
        assert_eq!(found(2, 1, 0.03).similarity, 0.5);
        assert_eq!(
            found(12, 4, 0.02).similarity,
            0.7,
            "the calibrated gallery of five pictures and ten brands"
        );
        assert_eq!(found(19, 9, 0.1).similarity, 0.61);
        let beyond = found(1_000, 1, 0.001);
        assert_eq!(beyond.similarity, 0.7);
        assert!(beyond.rate.unwrap() > 0.09 && beyond.caution.is_some());
        let none = Calibration {
            galleries: vec![],
            ..calibration
        };
        assert!(of_model(&none, 10, 1, 0.01).is_none());
    }
}
