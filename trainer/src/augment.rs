//! Augmentation, from numbers drawn per picture: torchvision's transforms for a whole batch at once.
//!
//! Drawing and applying are apart. Drawing is plain Rust and depends on (seed, epoch, key) alone, so a picture meets the
//! same augmentation whatever batch, thread or resumed run it comes in. Applying is done on the device that the batch lies
//! on: by loops of our own on the CPU (`pixels`), by kernels of our own on a GPU (`kernel`), several times faster than the
//! tensor operations (`tensors`) that serve where the kernels cannot be had. Crop, perspective, flip and rotation are one
//! homography and so one interpolation (torchvision interpolates up to three times, and rotates by nearest neighbour
//! unless told otherwise); what comes from outside the picture is black, as there.

mod draw;
pub mod kernel;
mod mapping;
mod params;
pub mod pixels;
pub mod tensors;

use tch::{Device, Kind, Tensor};

pub use draw::draw;
pub use params::{Adjustment, AugmentParams, ImageParams, Jitter, Perspective, Window};
pub use params::{MEAN, STD};

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

/// For tests: everything often, and the crop too.
#[cfg(test)]
fn busy() -> logodex_schemas::train::AugmentConfig {
    logodex_schemas::train::AugmentConfig {
        crop_scale: Some(0.3),
        perspective_p: 0.5,
        flip_p: 0.5,
        grayscale_p: 0.3,
        hue: 0.5,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use logodex_schemas::train::AugmentConfig;

    use super::*;
    use crate::torch;

    const SIDE: usize = 24;

    fn draw(config: &AugmentConfig, seed: u64, epoch: u64, keys: &[u64]) -> AugmentParams {
        super::draw(config, SIDE, seed, epoch, keys)
    }

    fn noise(n: i64) -> Tensor {
        let side = SIDE as i64;
        Tensor::randint(256, [n, side, side, 3], (Kind::Uint8, Device::Cpu))
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn drawn_numbers_that_change_nothing_change_nothing() {
        torch::set_threads(1);
        let images = noise(3);
        let off = AugmentConfig {
            crop_scale: None,
            views: None,
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
