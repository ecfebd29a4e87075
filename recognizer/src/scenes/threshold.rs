//! From which similarity on a brand is named in a scene, every window of which has its chance to be taken for one.
//!
//! A scene without an enrolled brand is taken for showing one when its best similarity, over all W windows and N brands, reaches
//! the threshold. Scenes that were calibrated with say how often that is. Where there are none, every window counts as a stranger
//! of its own: a threshold that single strangers reach over N₀ brands with the rate r₀ has the rate 1 − (1 − r₀)^(N · W / N₀).
//! Windows that overlap are reached together, so that the true rate is lower, if windows beside logos are no more alike to brands than
//! strangers' logos are.

use anyhow::Result;
use logodex_program::usage;
use logodex_schemas::gallery::{GalleryCalibration, SceneCalibration, Tiling};
use logodex_schemas::onnx::{Calibration, ModelMetadata};

use crate::command::table::{count, percent};
use crate::gallery::snapshot::Gallery;
use crate::threshold::{Chosen, Threshold, check_rate, chosen, of_gallery, of_model};

/// The thresholds of scenes by their number of windows.
#[derive(Debug)]
pub struct SceneThresholds<'a> {
    gallery: &'a Gallery,
    /// The share of scenes without an enrolled brand that may be taken for showing one.
    target: f64,
    basis: Basis<'a>,
    /// Why no calibration with scenes holds, where windows are looked through.
    caution: Option<String>,
}

#[derive(Debug)]
enum Basis<'a> {
    /// One that was typed.
    Given(f64),
    Scenes(&'a SceneCalibration),
    Strangers(&'a GalleryCalibration),
    Model(&'a Calibration),
}

impl<'a> SceneThresholds<'a> {
    /// The same for all, as typed.
    pub fn given(gallery: &'a Gallery, similarity: f64) -> Self {
        Self {
            gallery,
            target: 0.0,
            basis: Basis::Given(similarity),
            caution: None,
        }
    }

    /// By what was found out of scenes through these windows, if it was; else of single strangers, by the gallery's own
    /// calibration or the model's. `tiling` is none for a detector, each of whose boxes is judged by itself.
    ///
    /// # Errors
    /// [`logodex_program::Failure::Usage`] for a rate that is none, or where nothing is calibrated.
    pub fn calibrated(
        gallery: &'a Gallery,
        model: &'a ModelMetadata,
        target: f64,
        tiling: Option<&Tiling>,
    ) -> Result<Self> {
        check_rate(target)?;
        let own = gallery.scene_calibration();
        let same = own.filter(|own| tiling == Some(&own.tiling));
        let caution = tiling.filter(|_| same.is_none()).map(|_| {
            let why = match own {
                Some(_) => "the gallery was calibrated with scenes through other windows, and so",
                None => "the gallery was not calibrated with scenes, and so",
            };
            format!(
                "{why} each window counts as a stranger's logo: `logodex calibrate --gallery {} --tiles SCENES`, with pictures that show no enrolled brand, finds out how similar they come",
                gallery.store()
            )
        });
        let basis = same
            .map(Basis::Scenes)
            .or_else(|| gallery.calibration().map(Basis::Strangers))
            .or_else(|| model.calibration.as_ref().map(Basis::Model));
        Ok(Self {
            gallery,
            target,
            basis: basis.ok_or_else(|| {
                usage(format!(
                    "neither the gallery nor its model is calibrated, so nothing says from which similarity on a brand is to be named: run `logodex calibrate --gallery {}`, with --tiles for scenes, or give --threshold",
                    gallery.store()
                ))
            })?,
            caution,
        })
    }

    /// That of a scene of so many windows.
    pub fn over(&self, windows: usize) -> Threshold {
        let brands = (self.gallery.brands().len() as u64).max(1);
        let comparisons = brands * (windows as u64).max(1);
        let mut threshold = match self.basis {
            Basis::Given(similarity) => Threshold::given(similarity),
            Basis::Scenes(calibration) => of_scenes(calibration, comparisons, self.target),
            Basis::Strangers(calibration) => of_gallery(calibration, comparisons, self.target),
            Basis::Model(calibration) => {
                let shots = self.gallery.shots();
                let found = of_model(calibration, comparisons, shots, self.target);
                found.unwrap_or_else(|| Threshold::given(1.0))
            }
        };
        if let Some(caution) = &self.caution {
            let more = threshold.caution.map(|more| format!("; {more}"));
            threshold.caution = Some(format!("{caution}{}", more.unwrap_or_default()));
        }
        threshold
    }

    /// What it stands for in a scene of so many windows, in a sentence.
    pub fn explained(&self, windows: usize) -> String {
        let Threshold {
            similarity, basis, ..
        } = self.over(windows);
        let brands = count(self.gallery.brands().len(), "brand");
        match self.over(windows).told_rate() {
            Some(rate) => format!(
                "named from {similarity:.3} on, which through {} over {brands} takes {rate} of scenes without them for showing one (asked for: {}; by {basis})",
                count(windows, "window"),
                percent(self.target)
            ),
            None => format!(
                "named from {similarity:.3} on, as typed: in how many scenes without them that finds one of {brands} is not known"
            ),
        }
    }
}

/// The lowest threshold that no more than `target` of all scenes of so many `comparisons` (windows times brands) reach.
fn of_scenes(calibration: &SceneCalibration, comparisons: u64, target: f64) -> Threshold {
    let SceneCalibration {
        windows, scenes, ..
    } = calibration;
    let calibrated = scenes.enrolled.max(1) * (*windows).max(1);
    let Chosen {
        similarity,
        rate,
        interval,
    } = chosen(
        &scenes.best,
        scenes.pictures,
        (calibrated, comparisons),
        target,
    );
    let caution = (rate > target * 1.0001).then(|| {
        format!(
            "{} cannot tell a rate of {target}: the threshold is one that none of them reaches, which stands for {rate:.2}; calibrate with more scenes for a firmer one",
            count(scenes.pictures as usize, "scene")
        )
    });
    Threshold {
        similarity,
        rate: Some(rate),
        interval: Some(interval),
        basis: format!(
            "{} without enrolled brands, each compared with {} through {windows} windows on average",
            count(scenes.pictures as usize, "scene"),
            count(scenes.enrolled as usize, "brand")
        ),
        caution,
    }
}
