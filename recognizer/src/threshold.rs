//! From which similarity on a brand is named, and how often a stranger is at that.
//!
//! A stranger is taken for an enrolled brand when its *best* similarity, over all N enrolled brands, reaches the threshold. So
//! what is calibrated is the best over a gallery, not a single comparison: on strangers (pictures of brands that are not
//! enrolled), each compared with N₀ brands. Over N brands, each of which a stranger reaches as often as one of the N₀ and
//! independently of the others, a threshold with the rate r₀ has the rate 1 − (1 − r₀)^(N / N₀).

use logodex_schemas::gallery::GalleryCalibration;
use logodex_schemas::onnx::{CalibratedGallery, Calibration};

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

    /// Whether a brand of this similarity is named.
    pub fn accepts(&self, similarity: f32) -> bool {
        f64::from(similarity) >= self.similarity
    }
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
    let mut accepted = ((aimed * n) as usize).min(best.len().saturating_sub(1));
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
        let least = 1.0 / (gallery.unknown_probes as f64 + 1.0);
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
