//! Augmentation, from numbers drawn per picture: torchvision's transforms for a whole batch at once.
//!
//! Drawing and applying are apart. Drawing is plain Rust and depends on (seed, epoch, key) alone, so a picture meets the
//! same augmentation whatever batch, thread or resumed run it comes in. Applying is done on the device that the batch lies
//! on: by loops of our own on the CPU (`pixels`), by kernels of our own on a GPU (`kernel`), several times faster than the
//! tensor operations (`tensors`) that serve where the kernels cannot be had. Crop, perspective, flip and rotation are one homography and so one interpolation (torchvision interpolates up
//! to three times, and rotates by nearest neighbour unless told otherwise); what comes from outside the picture is black,
//! as there.

pub mod kernel;
mod mapping;
pub mod pixels;
pub mod tensors;

use logodex_schemas::train::AugmentConfig;
use rand::Rng;
use rand::seq::SliceRandom;
use tch::{Device, Kind, Tensor};

use logodex_schemas::random::stream;

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
    fn factor(&self, adjustment: Adjustment) -> Option<f32> {
        let (value, nothing) = match adjustment {
            Adjustment::Brightness => (self.brightness, 1.0),
            Adjustment::Contrast => (self.contrast, 1.0),
            Adjustment::Saturation => (self.saturation, 1.0),
            Adjustment::Hue => (self.hue, 0.0),
        };
        (value != nothing).then_some(value as f32)
    }

    /// The adjustments that change something, in their order.
    fn steps(&self) -> Vec<(Adjustment, f32)> {
        let step = |adjustment| Some((adjustment, self.factor(adjustment)?));
        self.order.into_iter().filter_map(step).collect()
    }
}

/// What a network takes: pictures u8 `[B, H, W, 3]`, as a dataset holds them, to fp32 `[B, 3, H, W]` on the same device,
/// augmented by one of `params.images` each, less ImageNet's mean, divided by its standard deviation.
///
/// The order is crop, perspective, flip, rotation, grayscale, colour jitter. The result's memory may be channels-last.
/// Nothing here is recorded by autograd.
///
/// # Panics
/// When `params` was drawn for another number of pictures.
pub fn prepare(images_u8_nhwc: &Tensor, params: Option<&AugmentParams>) -> Tensor {
    if let Some(params) = params {
        assert_eq!(
            images_u8_nhwc.size()[0],
            params.images.len() as i64,
            "pictures and drawn parameters"
        );
    }
    let _no_grad = tch::no_grad_guard();
    match images_u8_nhwc.device() {
        Device::Cpu => pixels::prepare(images_u8_nhwc, params),
        _ => params
            .and_then(|params| kernel::prepare(images_u8_nhwc, params))
            .unwrap_or_else(|| tensors::prepare(images_u8_nhwc, params)),
    }
}

/// The way back from [`prepare`]'s result to u8 `[B, H, W, 3]`, rounded: for people to look at.
pub fn to_bytes(input: &Tensor) -> Tensor {
    let channel = |values: [f32; 3]| Tensor::from_slice(&values).to_device(input.device());
    let nhwc = input.permute([0, 2, 3, 1]) * channel(STD) + channel(MEAN);
    let bytes = (nhwc * 255.0).round().clamp(0.0, 255.0);
    bytes.to_kind(Kind::Uint8).contiguous()
}

/// Draws a batch's numbers, one image for each of `keys`: whatever tells the image's visit in this epoch from every
/// other (for example its row, and its place in a triplet). `side_px` is the side of the square pictures.
pub fn draw(
    config: &AugmentConfig,
    side_px: usize,
    seed: u64,
    epoch: u64,
    keys: &[u64],
) -> AugmentParams {
    let draw = |key: &u64| {
        draw_one(
            config,
            side_px as i64,
            stream(seed, "augment", &[epoch, *key]),
        )
    };
    let images = keys.iter().map(draw);
    AugmentParams {
        images: images.collect(),
    }
}

/// Every number is drawn whether it is used or not, so that changing one probability leaves the others' draws alone.
fn draw_one(config: &AugmentConfig, side_px: i64, mut rng: impl Rng) -> ImageParams {
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
    let mut order = Adjustment::ALL;
    order.shuffle(&mut rng);
    // Last, since it takes as many numbers as it needs.
    let crop = config
        .crop_scale
        .map(|least| draw_crop(least, side_px, &mut rng));
    ImageParams {
        crop,
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

/// `RandomResizedCrop.get_params` for a square picture: a part of its area from `least` to 1 and an aspect whose logarithm
/// is uniform from 3/4 to 4/3; after ten windows that do not fit, the whole.
fn draw_crop(least: f64, side_px: i64, rng: &mut impl Rng) -> Window {
    let area = (side_px * side_px) as f64;
    let reach = (4.0f64 / 3.0).ln();
    for _ in 0..10 {
        let area = area * rng.random_range(least..=1.0);
        let aspect = rng.random_range(-reach..=reach).exp();
        let width = (area * aspect).sqrt().round_ties_even() as i64;
        let height = (area / aspect).sqrt().round_ties_even() as i64;
        if (1..=side_px).contains(&width) && (1..=side_px).contains(&height) {
            return Window {
                top: rng.random_range(0..=side_px - height),
                left: rng.random_range(0..=side_px - width),
                width,
                height,
            };
        }
    }
    Window {
        left: 0,
        top: 0,
        width: side_px,
        height: side_px,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch;

    const SIDE: usize = 24;

    fn draw(config: &AugmentConfig, seed: u64, epoch: u64, keys: &[u64]) -> AugmentParams {
        super::draw(config, SIDE, seed, epoch, keys)
    }

    /// Everything often, and the crop too.
    fn busy() -> AugmentConfig {
        AugmentConfig {
            crop_scale: Some(0.3),
            perspective_p: 0.5,
            flip_p: 0.5,
            grayscale_p: 0.3,
            hue: 0.5,
            ..AugmentConfig::default()
        }
    }

    fn noise(n: i64) -> Tensor {
        let side = SIDE as i64;
        Tensor::randint(256, [n, side, side, 3], (Kind::Uint8, Device::Cpu))
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn a_draw_depends_on_its_own_key_alone() {
        let config = busy();
        let both = draw(&config, 7, 3, &[11, 12]);
        let swapped = draw(&config, 7, 3, &[12, 11]);
        assert_eq!(both.images[0], swapped.images[1]);
        assert_eq!(both.images[1], swapped.images[0]);
        assert_ne!(both.images[0], both.images[1]);
        assert_ne!(draw(&config, 7, 4, &[11]).images[0], both.images[0]);
        assert_ne!(draw(&config, 8, 3, &[11]).images[0], both.images[0]);
        // A crop, or another probability, leaves the other draws alone.
        let plain = AugmentConfig {
            crop_scale: None,
            flip_p: 0.0,
            ..config
        };
        let (with, without) = (&both.images[0], &draw(&plain, 7, 3, &[11]).images[0]);
        assert_eq!(
            (with.perspective, with.rotation_deg, with.jitter),
            (without.perspective, without.rotation_deg, without.jitter)
        );
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
    fn crops_have_the_area_and_the_aspect_that_torchvision_gives_them() {
        let config = AugmentConfig {
            crop_scale: Some(0.5),
            ..AugmentConfig::default()
        };
        let keys: Vec<u64> = (0..4000).collect();
        let windows: Vec<Window> = super::draw(&config, 224, 1, 0, &keys)
            .images
            .iter()
            .filter_map(|p| p.crop)
            .collect();
        assert_eq!(windows.len(), keys.len());
        let inside = |w: &Window| {
            w.left >= 0 && w.top >= 0 && w.left + w.width <= 224 && w.top + w.height <= 224
        };
        assert!(windows.iter().all(inside));
        let mean = |of: fn(&Window) -> f64| windows.iter().map(of).sum::<f64>() / 4000.0;
        // Means of 200,000 draws by get_params of torchvision 0.26 at scale (0.5, 1), ratio (3/4, 4/3): area 0.6938 of the
        // picture; logarithm of the aspect -0.0001, its deviation 0.1516; 18.80 rows above the window.
        let area = mean(|w| (w.width * w.height) as f64 / (224.0 * 224.0));
        let aspect = |w: &Window| (w.width as f64 / w.height as f64).ln();
        let deviation = mean(|w| (w.width as f64 / w.height as f64).ln().powi(2)).sqrt();
        assert!((area - 0.6938).abs() < 0.01, "{area}");
        assert!(windows.iter().map(aspect).sum::<f64>().abs() / 4000.0 < 0.01);
        assert!((deviation - 0.1516).abs() < 0.005, "{deviation}");
        let above = mean(|w| w.top as f64);
        assert!((above - 18.80).abs() < 1.2, "{above}");
    }

    #[test]
    fn drawn_numbers_that_change_nothing_change_nothing() {
        torch::set_threads(1);
        let images = noise(3);
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
        let params = draw(&off, 1, 2, &[3, 4, 5]);
        for prepare in [pixels::prepare, tensors::prepare] {
            let plain = prepare(&images, None);
            assert_eq!(prepare(&images, Some(&params)), plain);
            assert_eq!(plain, pixels::prepare(&images, None));
        }
    }

    #[test]
    fn loops_and_tensor_operations_compute_the_same() {
        torch::set_threads(1);
        let keys: Vec<u64> = (0..64).collect();
        let images = noise(64);
        let params = draw(&busy(), 5, 0, &keys);
        let (loops, operations) = (
            pixels::prepare(&images, Some(&params)),
            tensors::prepare(&images, Some(&params)),
        );
        // Noise is the worst case: a coordinate that is 1e-5 pixels off shifts a value by 1e-5 of the full range, and the
        // hue of a nearly gray pixel multiplies that.
        let mean = (&loops - &operations).abs().mean(Kind::Float);
        assert!(mean.double_value(&[]) < 1e-4, "{mean:?}");
        assert!(largest_difference(&loops, &operations) < 0.05);
    }

    #[test]
    fn an_image_is_augmented_the_same_in_any_batch() {
        torch::set_threads(1);
        let images = noise(9);
        let keys: Vec<u64> = (0..9).collect();
        let together = prepare(&images, Some(&draw(&busy(), 5, 0, &keys)));
        for key in 0..9 {
            let params = draw(&busy(), 5, 0, &[key as u64]);
            let alone = prepare(&images.narrow(0, key, 1), Some(&params));
            assert_eq!(alone, together.narrow(0, key, 1), "image {key}");
        }
    }
}
