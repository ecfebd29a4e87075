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
use statrs::distribution::{Beta, ContinuousCDF};

use crate::command::table::{count, percent};

/// A threshold on the similarity to a brand's prototype.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// A brand is named from this similarity on.
    pub similarity: f64,
    /// The share of strangers that are named at this gallery's size; none where nobody knows.
    pub rate: Option<f64>,
    /// Where that share lies in 95 % of all draws of as many strangers, as far as they are independent; none where their number
    /// is not known.
    pub interval: Option<[f64; 2]>,
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
            interval: None,
            basis: "given".to_owned(),
            caution: None,
        }
    }

    /// What it stands for over so many brands, in a sentence.
    pub fn explained(&self, brands: usize) -> String {
        let brands = count(brands, "brand");
        match self.told_rate() {
            Some(rate) => format!(
                "named from {:.3} on, which over {brands} takes {rate} of strangers for an enrolled brand (by {})",
                self.similarity, self.basis
            ),
            None => format!(
                "named from {:.3} on, as typed: how many strangers that takes for one of {brands} is not known",
                self.similarity
            ),
        }
    }

    /// The rate with its interval.
    pub fn told_rate(&self) -> Option<String> {
        let interval = self
            .interval
            .map(|[low, high]| format!(", in 95 % of draws {} to {}", percent(low), percent(high)));
        let rate = self.rate.map(percent)?;
        Some(format!("{rate}{}", interval.unwrap_or_default()))
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

/// A threshold by the best similarities of strangers, and how often it is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// A brand is named from this similarity on.
    pub similarity: f64,
    /// The share of strangers that are named.
    pub rate: f64,
    /// As [`Threshold::interval`].
    pub interval: [f64; 2],
}

/// The lowest threshold whose rate over `asked` comparisons is at most `target`, by the highest (`best`, in descending order) of the
/// best similarities of `strangers`, each over `calibrated` comparisons. Where the strangers are too few for that, the lowest that
/// none of them reaches.
///
/// A new stranger is as likely to come anywhere among n others. So what k of n reach it reaches in (k + 1) / (n + 1) of all cases,
/// and the share of strangers that do, over draws of the n, is distributed as Beta(k + 1, n − k).
pub fn chosen(
    best: &[f32],
    strangers: u64,
    (calibrated, asked): (u64, u64),
    target: f64,
) -> Chosen {
    let (calibrated, asked, n) = (calibrated.max(1), asked.max(1), strangers as f64);
    let aimed = scaled(target, asked, calibrated);
    let accepted = ((aimed * (n + 1.0) + 1e-9) as usize).saturating_sub(1);
    // What is not in the tail is lower than all of it, and more of it is accepted than is ever asked for.
    let mut accepted = accepted.min(best.len().saturating_sub(1));
    // Equal similarities are accepted together or not at all.
    while accepted > 0 && best[accepted - 1] == best[accepted] {
        accepted -= 1;
    }
    let rate = |share: f64| scaled(share, calibrated, asked);
    let shares = Beta::new(accepted as f64 + 1.0, (n - accepted as f64).max(1.0));
    let interval = shares.map_or([0.0, 1.0], |shares| {
        [0.025, 0.975].map(|p| rate(shares.inverse_cdf(p)))
    });
    Chosen {
        similarity: best.get(accepted).map_or(1.0, |x| f64::from(x.next_up())),
        rate: rate((accepted as f64 + 1.0) / (n + 1.0)),
        interval,
    }
}

/// The lowest threshold whose rate over `enrolled` brands is at most `target`, by a gallery's own calibration.
pub fn of_gallery(calibration: &GalleryCalibration, enrolled: u64, target: f64) -> Threshold {
    let GalleryCalibration {
        enrolled: calibrated,
        pictures,
        best,
        ..
    } = calibration;
    let Chosen {
        similarity,
        rate,
        interval,
    } = chosen(best, *pictures, (*calibrated, enrolled), target);
    Threshold {
        similarity,
        rate: Some(rate),
        interval: Some(interval),
        basis: format!("{pictures} pictures of strangers, each compared with {calibrated} brands"),
        caution: too_few(rate, target, *pictures),
    }
}

fn too_few(rate: f64, target: f64, strangers: u64) -> Option<String> {
    (rate > target * 1.0001).then(|| {
        format!(
            "{strangers} pictures of strangers cannot tell a false-accept rate of {target} at this gallery's size: the threshold is one that none of them reaches, which stands for {rate:.2}; calibrate with more pictures for a firmer one"
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
        interval: None,
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
mod tests;
