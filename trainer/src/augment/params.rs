//! The numbers of an augmentation: what befalls each picture of a batch, and the means that all are normalised by.

/// ImageNet's channel means, which torchvision's weights expect.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's channel standard deviations.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Drawn numbers for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct AugmentParams {
    /// One for each image, in the batch's order.
    pub images: Vec<ImageParams>,
}

/// Drawn numbers for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageParams {
    /// `RandomResizedCrop`, where the configuration has it.
    pub crop: Option<Window>,
    /// Perspective, where its coin fell so.
    pub perspective: Option<Perspective>,
    /// Mirror left and right.
    pub flip: bool,
    /// Degrees, counter-clockwise.
    pub rotation_deg: f64,
    /// Replace each channel by the luma.
    pub grayscale: bool,
    /// `ColorJitter`.
    pub jitter: Jitter,
}

/// The part of a picture that is cut out and enlarged to its size, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub left: i64,
    /// First row.
    pub top: i64,
    /// Columns, at least 1.
    pub width: i64,
    /// Rows, at least 1.
    pub height: i64,
}

/// `RandomPerspective`: where the corners go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perspective {
    /// Distortion scale, 0 to 1: a corner moves inwards by up to half of this part of the side.
    pub scale: f64,
    /// Horizontal and vertical part of that reach, in 0..1, for the top-left, top-right, bottom-right and bottom-left
    /// corner.
    pub corners: [[f64; 2]; 4],
}

/// `ColorJitter`: four adjustments in an order of the image's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// The order in which the four are applied.
    pub order: [Adjustment; 4],
    /// Factor; 1 changes nothing.
    pub brightness: f64,
    /// Factor; 1 changes nothing.
    pub contrast: f64,
    /// Factor; 1 changes nothing.
    pub saturation: f64,
    /// Turn of the hue circle, −0.5 to 0.5; 0 changes nothing.
    pub hue: f64,
}

/// One of the four adjustments of `ColorJitter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjustment {
    /// Blend with black.
    Brightness,
    /// Blend with the image's mean luma.
    Contrast,
    /// Blend with each pixel's luma.
    Saturation,
    /// Turn the hue.
    Hue,
}

impl Adjustment {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Brightness,
        Self::Contrast,
        Self::Saturation,
        Self::Hue,
    ];
}

impl Jitter {
    /// The drawn number of an adjustment, unless it changes nothing.
    pub(super) fn factor(&self, adjustment: Adjustment) -> Option<f32> {
        let (value, nothing) = match adjustment {
            Adjustment::Brightness => (self.brightness, 1.0),
            Adjustment::Contrast => (self.contrast, 1.0),
            Adjustment::Saturation => (self.saturation, 1.0),
            Adjustment::Hue => (self.hue, 0.0),
        };
        (value != nothing).then_some(value as f32)
    }

    /// The adjustments that change something, in their order.
    pub(super) fn steps(&self) -> Vec<(Adjustment, f32)> {
        let step = |adjustment| Some((adjustment, self.factor(adjustment)?));
        self.order.into_iter().filter_map(step).collect()
    }
}
