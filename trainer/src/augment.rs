//! Augmentation on the device: torchvision's transforms for a whole batch at once, from numbers drawn per image.
//!
//! Drawing and applying are apart. Drawing is plain Rust and depends on (seed, epoch, key) alone, so an image meets the
//! same augmentation whatever batch, thread or resumed run it comes in. Applying is a handful of tensor operations:
//! perspective, flip and rotation are one homography and so one interpolation (torchvision interpolates up to twice,
//! and rotates by nearest neighbour unless told otherwise); what comes from outside the picture is black, as there.

mod color;
mod geometry;

use logodex_schemas::train::AugmentConfig;
use rand::Rng;
use rand::seq::SliceRandom;
use tch::{Kind, Tensor};

use crate::random::stream;

/// ImageNet's channel means, which torchvision's weights expect.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's channel standard deviations.
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Drawn numbers for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct AugmentParams {
    /// One for each image, in the batch's order.
    pub images: Vec<ImageParams>,
}

/// Drawn numbers for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageParams {
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

/// u8 images `[B, H, W, 3]`, as a dataset holds them, to fp32 `[B, 3, H, W]` in 0..1 on the same device.
pub fn to_float(images_u8_nhwc: &Tensor) -> Tensor {
    let planes = images_u8_nhwc.permute([0, 3, 1, 2]).contiguous();
    planes.to_kind(Kind::Float).g_div_scalar_(255.0)
}

/// Images `[B, 3, H, W]` in 0..1 less ImageNet's mean, divided by its standard deviation.
pub fn normalize(images: &Tensor) -> Tensor {
    let per_channel = |values: &[f32; 3]| {
        let values = Tensor::from_slice(values).view([1, 3, 1, 1]);
        values.to_device(images.device())
    };
    (images - per_channel(&MEAN)).g_div_(&per_channel(&STD))
}

/// Draws a batch's numbers, one image for each of `keys`: whatever tells the image's visit in this epoch from every
/// other (for example its row, and its place in a triplet).
pub fn draw(config: &AugmentConfig, seed: u64, epoch: u64, keys: &[u64]) -> AugmentParams {
    let images = keys.iter().map(|&key| draw_one(config, seed, epoch, key));
    AugmentParams {
        images: images.collect(),
    }
}

/// Every number is drawn whether it is used or not, so that changing one probability leaves the others' draws alone.
fn draw_one(config: &AugmentConfig, seed: u64, epoch: u64, key: u64) -> ImageParams {
    let mut rng = stream(seed, "augment", &[epoch, key]);
    let warped = rng.random::<f64>() < config.perspective_p;
    let corners: [[f64; 2]; 4] = rng.random();
    let flip = rng.random::<f64>() < config.flip_p;
    let mut around = |center: f64, reach: f64| center + reach * (2.0 * rng.random::<f64>() - 1.0);
    let rotation_deg = around(0.0, config.rotation_deg);
    // torchvision clips the lower end of the range of a factor at 0.
    let mut factor = |reach: f64| {
        let (low, high) = ((1.0 - reach).max(0.0), 1.0 + reach);
        around((low + high) / 2.0, (high - low) / 2.0)
    };
    let brightness = factor(config.brightness);
    let contrast = factor(config.contrast);
    let saturation = factor(config.saturation);
    let hue = around(0.0, config.hue);
    let grayscale = rng.random::<f64>() < config.grayscale_p;
    let mut order = [
        Adjustment::Brightness,
        Adjustment::Contrast,
        Adjustment::Saturation,
        Adjustment::Hue,
    ];
    order.shuffle(&mut rng);
    ImageParams {
        perspective: warped.then_some(Perspective {
            scale: config.perspective,
            corners,
        }),
        flip,
        rotation_deg,
        grayscale,
        jitter: Jitter {
            order,
            brightness,
            contrast,
            saturation,
            hue,
        },
    }
}

/// Images `[B, 3, H, W]` in 0..1, augmented by one of `params.images` each: perspective, flip and rotation, then
/// grayscale, then colour jitter. Nothing here is recorded by autograd.
///
/// # Panics
/// When `params` was drawn for another number of images.
pub fn augment(images: &Tensor, params: &AugmentParams) -> Tensor {
    assert_eq!(
        images.size()[0],
        params.images.len() as i64,
        "images and drawn parameters"
    );
    let _no_grad = tch::no_grad_guard();
    let mut images = geometry::warp(images, &params.images);
    color::grayscale_(&mut images, &params.images);
    color::jitter(images, &params.images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_its_own_key_alone() {
        let config = AugmentConfig::default();
        let both = draw(&config, 7, 3, &[11, 12]);
        let swapped = draw(&config, 7, 3, &[12, 11]);
        assert_eq!(both.images[0], swapped.images[1]);
        assert_eq!(both.images[1], swapped.images[0]);
        assert_ne!(both.images[0], both.images[1]);
        assert_ne!(draw(&config, 7, 4, &[11]).images[0], both.images[0]);
        assert_ne!(draw(&config, 8, 3, &[11]).images[0], both.images[0]);
    }

    #[test]
    fn draws_keep_to_their_ranges_and_probabilities() {
        let config = AugmentConfig::default();
        let keys: Vec<u64> = (0..4000).collect();
        let images = draw(&config, 1, 0, &keys).images;
        let share = |which: fn(&ImageParams) -> bool| {
            images.iter().filter(|p| which(p)).count() as f64 / images.len() as f64
        };
        assert!((share(|p| p.perspective.is_some()) - 0.3).abs() < 0.03);
        assert!((share(|p| p.flip) - 0.3).abs() < 0.03);
        assert!((share(|p| p.grayscale) - 0.1).abs() < 0.02);
        assert!((share(|p| p.jitter.order[0] == Adjustment::Hue) - 0.25).abs() < 0.03);
        let spread = |of: fn(&ImageParams) -> f64| {
            let values = images.iter().map(of);
            values.fold((f64::MAX, f64::MIN), |(low, high), v| {
                (low.min(v), high.max(v))
            })
        };
        for ((low, high), (least, most)) in [
            (spread(|p| p.rotation_deg), (-15.0, 15.0)),
            (spread(|p| p.jitter.brightness), (0.8, 1.2)),
            (spread(|p| p.jitter.hue), (-0.1, 0.1)),
        ] {
            let slack = 0.02 * (most - least);
            assert!(
                least <= low && low < least + slack,
                "{low} for a least of {least}"
            );
            assert!(
                most - slack < high && high <= most,
                "{high} for a most of {most}"
            );
        }
    }

    #[test]
    fn drawn_numbers_that_change_nothing_change_nothing() {
        let images = Tensor::rand([3, 3, 8, 8], (Kind::Float, tch::Device::Cpu));
        let off = AugmentConfig {
            crop_scale: None,
            perspective: 0.5,
            perspective_p: 0.0,
            flip_p: 0.0,
            rotation_deg: 0.0,
            grayscale_p: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        };
        assert_eq!(augment(&images, &draw(&off, 1, 2, &[3, 4, 5])), images);
    }

    #[test]
    fn an_image_is_augmented_the_same_in_any_batch() {
        let images = Tensor::rand([9, 3, 16, 16], (Kind::Float, tch::Device::Cpu));
        let config = AugmentConfig {
            perspective_p: 0.5,
            grayscale_p: 0.4,
            ..AugmentConfig::default()
        };
        let keys: Vec<u64> = (0..9).collect();
        let together = augment(&images, &draw(&config, 5, 0, &keys));
        for key in 0..9 {
            let alone = augment(
                &images.narrow(0, key, 1),
                &draw(&config, 5, 0, &[key as u64]),
            );
            let difference = (alone - together.narrow(0, key, 1)).abs().max();
            assert!(difference.double_value(&[]) < 1e-6, "image {key}");
        }
    }
}
