//! `[augment]`: what happens to training pictures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Augmentation as torchvision defines each transform, in this order; the defaults are the paper's final list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// `RandomResizedCrop`: smallest part of the area that is cut out, 0 < s ≤ 1; the aspect is drawn from 3/4 to 4/3; not
    /// set, nothing is cut.
    ///
    /// Unit: part of the picture's area.
    /// Source: the paper, section 2.4 (its authors: 0.5, in early runs).
    pub crop_scale: Option<f64>,
    /// Views of each picture, ≥ 1: it is augmented in so many ways, drawn once from the seed, of which every epoch takes one;
    /// not set, every epoch draws anew. What `runtime.feature_cache_gib` keeps needs it.
    ///
    /// Unit: views.
    /// Source: ours; Quaterion caches one.
    pub views: Option<u32>,
    /// `RandomPerspective` distortion scale, 0 to 1.
    ///
    /// Unit: half the picture's side.
    /// Source: the paper, Tables 3 and 4 (torchvision's 0.5).
    pub perspective: f64,
    /// `RandomPerspective` probability, 0 to 1.
    ///
    /// Unit: probability.
    /// Source: the paper, Tables 3 and 4 (0.3).
    pub perspective_p: f64,
    /// `RandomHorizontalFlip` probability, 0 to 1.
    ///
    /// Unit: probability.
    /// Source: the paper, Tables 3 and 4 (0.3).
    pub flip_p: f64,
    /// `RandomRotation` range to either side, 0 to 180.
    ///
    /// Unit: degrees.
    /// Source: the paper, Tables 3 and 4 (15).
    pub rotation_deg: f64,
    /// `RandomGrayscale` probability, 0 to 1.
    ///
    /// Unit: probability.
    /// Source: the paper, Tables 3 and 4 (0.1).
    pub grayscale_p: f64,
    /// `ColorJitter` brightness, ≥ 0: the factor is drawn from 1 − this to 1 + this.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 3 and 4; its authors (0.2).
    pub brightness: f64,
    /// `ColorJitter` contrast, ≥ 0: the factor is drawn from 1 − this to 1 + this.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 3 and 4; its authors (0.2).
    pub contrast: f64,
    /// `ColorJitter` saturation, ≥ 0: the factor is drawn from 1 − this to 1 + this.
    ///
    /// Unit: none.
    /// Source: the paper, Tables 3 and 4; its authors (0.2).
    pub saturation: f64,
    /// `ColorJitter` hue to either side, 0 to 0.5.
    ///
    /// Unit: turns of the colour circle.
    /// Source: the paper, Tables 3 and 4; its authors (0.1).
    pub hue: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            crop_scale: None,
            views: None,
            perspective: 0.5,
            perspective_p: 0.3,
            flip_p: 0.3,
            rotation_deg: 15.0,
            grayscale_p: 0.1,
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.2,
            hue: 0.1,
        }
    }
}
