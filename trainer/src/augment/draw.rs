//! Draws a batch's numbers from its configuration: for each picture by (seed, epoch, key) alone.

use logodex_schemas::random::stream;
use logodex_schemas::train::AugmentConfig;
use rand::Rng;
use rand::seq::SliceRandom;

use super::params::{Adjustment, AugmentParams, ImageParams, Jitter, Perspective, Window};

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
    use crate::augment::busy;

    const SIDE: usize = 24;

    fn draw(config: &AugmentConfig, seed: u64, epoch: u64, keys: &[u64]) -> AugmentParams {
        super::draw(config, SIDE, seed, epoch, keys)
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
}
