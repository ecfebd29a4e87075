//! Filters and pixels against Pillow's definition in floating point, and the forms of the code against each other.

use super::weights::triangle;
use super::*;
use crate::picture::Format;
use crate::simd::plainly;

mod oracle;

/// `precompute_coeffs` of Pillow's `Resample.c` for the triangle filter and a box that is the whole line.
fn reference(n: u32, out: u32) -> Vec<(usize, Vec<f64>)> {
    let scale = f64::from(n) / f64::from(out);
    let support = scale.max(1.0);
    (0..out)
        .map(|i| {
            let centre = (f64::from(i) + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0);
            let end = ((centre + support + 0.5) as i64).min(i64::from(n));
            let weight = |x: i64| (1.0 - ((x as f64 + 0.5 - centre) / support).abs()).max(0.0);
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            (first as usize, weights.iter().map(|w| w / sum).collect())
        })
        .collect()
}

/// Weights by source pixel, so that taps of weight zero at the ends do not matter.
fn dense(n: u32, first: usize, weights: &[f64]) -> Vec<f64> {
    let mut dense = vec![0.0; n as usize];
    dense[first..first + weights.len()].copy_from_slice(weights);
    dense
}

#[test]
fn weights_are_those_of_pillow() {
    for (n, out) in [
        (1, 1),
        (1, 9),
        (2, 5),
        (9, 9),
        (10, 3),
        (37, 224),
        (223, 224),
        (375, 224),
        (500, 224),
        (4000, 24),
        (65535, 7),
    ] {
        let expected = reference(n, out);
        for bits in [14, 16] {
            let one = 1u64 << bits;
            let mut outputs = 0;
            triangle(n, out, one, |i, first, weights| {
                assert_eq!(weights.iter().sum::<u64>(), one);
                let found: Vec<f64> = weights.iter().map(|&w| w as f64 / one as f64).collect();
                let (expected, found) = (
                    dense(n, expected[i].0, &expected[i].1),
                    dense(n, first, &found),
                );
                for (x, (expected, found)) in expected.iter().zip(&found).enumerate() {
                    // Sums are rounded, each to the nearest: a difference of two is off by one at most.
                    let error = (expected - found).abs() * one as f64;
                    assert!(
                        error <= 1.0 + 1e-6,
                        "{n} to {out}, output {i}, pixel {x}: {error}"
                    );
                }
                outputs += 1;
            });
            assert_eq!(outputs, out);
        }
    }
}

fn picture(width: u32, height: u32, seed: u32) -> Picture {
    // Hard edges, gradients and noise.
    let value = |i: u32| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        let noise = (i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 24;
        match (x / 7 + y / 5 + c) % 4 {
            0 => 255,
            1 => 0,
            2 => (x * 3 + y * 2) as u8,
            _ => noise as u8,
        }
    };
    let rgb: Vec<u8> = (0..width * height * 3).map(value).collect();
    Picture::from_rgb(Format::Png, width, height, &rgb)
}

/// The exact result, not rounded.
fn exact(picture: &Picture, crop: Crop, side: u32, color: usize) -> Vec<f64> {
    let (across, down) = (reference(crop.width, side), reference(crop.height, side));
    let at = |x: usize, y: usize| {
        let (x, y) = (x + crop.x as usize, y + crop.y as usize);
        f64::from(picture.plane(color)[y * picture.width as usize + x])
    };
    let rows: Vec<Vec<f64>> = (0..crop.height as usize)
        .map(|y| {
            let of = |(first, weights): &(usize, Vec<f64>)| {
                weights
                    .iter()
                    .enumerate()
                    .map(|(i, w)| w * at(first + i, y))
                    .sum()
            };
            across.iter().map(of).collect()
        })
        .collect();
    let column = |(first, weights): &(usize, Vec<f64>), x: usize| -> f64 {
        let taps = weights.iter().zip(&rows[*first..]);
        taps.map(|(w, row)| w * row[x]).sum()
    };
    let outputs = down
        .iter()
        .flat_map(|taps| (0..side as usize).map(move |x| (taps, x)));
    outputs.map(|(taps, x)| column(taps, x)).collect()
}

#[test]
fn pixels_are_the_exact_ones_rounded_and_the_same_in_both_forms() {
    for (i, (width, height, [x, y, w, h], side)) in [
        (100, 80, [0, 0, 100, 80], 24),
        (100, 80, [13, 7, 61, 9], 24),
        (100, 80, [99, 79, 1, 1], 9),
        (97, 131, [0, 0, 97, 131], 97),
        (33, 40, [1, 2, 32, 31], 224),
        (500, 375, [0, 0, 500, 375], 224),
        (501, 3, [0, 0, 501, 3], 33),
        (3, 700, [0, 0, 3, 700], 8),
        (1000, 60, [0, 0, 1000, 60], 10),
    ]
    .into_iter()
    .enumerate()
    {
        let picture = picture(width, height, i as u32);
        let crop = Crop {
            x,
            y,
            width: w,
            height: h,
        };
        let resized = || {
            let mut out = vec![0; (side * side * 3) as usize];
            resize_into(&picture, crop, Fit::Squash, side, &mut out).unwrap();
            out
        };
        let out = resized();
        assert!(out == plainly(resized), "{crop:?} to {side}");
        for color in 0..3 {
            for (pixel, exact) in out.chunks_exact(3).zip(exact(&picture, crop, side, color)) {
                let error = (f64::from(pixel[color]) - exact).abs();
                assert!(
                    error < 0.56,
                    "{crop:?} to {side}: {} for {exact}",
                    pixel[color]
                );
            }
        }
    }
}

#[test]
fn black_and_white_stay_what_they_are_at_every_size() {
    for value in [0, 255] {
        for length in [1, 2, 31, 224, 600, 5000] {
            let picture =
                Picture::from_rgb(Format::Png, length, 3, &vec![value; length as usize * 9]);
            let turned =
                Picture::from_rgb(Format::Png, 3, length, &vec![value; length as usize * 9]);
            for picture in [picture, turned] {
                let mut out = vec![77; 16 * 16 * 3];
                resize_into(&picture, Crop::whole(&picture), Fit::Squash, 16, &mut out).unwrap();
                assert_eq!(out, vec![value; 16 * 16 * 3], "{length}");
            }
        }
    }
}

#[test]
fn a_crop_outside_the_picture_is_an_error() {
    let picture = picture(10, 10, 0);
    for [x, y, width, height] in [
        [5, 0, 6, 10],
        [0, 5, 10, 6],
        [0, 0, 0, 1],
        [u32::MAX, 0, 2, 2],
    ] {
        let crop = Crop {
            x,
            y,
            width,
            height,
        };
        let mut out = vec![0; 8 * 8 * 3];
        assert!(resize_into(&picture, crop, Fit::Squash, 8, &mut out).is_err());
    }
    let mut short = vec![0; 8 * 8 * 3 - 1];
    assert!(resize_into(&picture, Crop::whole(&picture), Fit::Squash, 8, &mut short).is_err());
}

/// Red grows to the right, green downwards.
fn gradient(width: u32, height: u32) -> Picture {
    let pixel = |i: u32| [(i % width * 2) as u8, (i / width * 2) as u8, 50];
    let rgb: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    Picture::from_rgb(Format::Png, width, height, &rgb)
}

fn fitted(picture: &Picture, fit: Fit) -> Vec<u8> {
    let mut out = vec![1; 20 * 20 * 3];
    resize_into(picture, Crop::whole(picture), fit, 20, &mut out).unwrap();
    out
}

#[test]
fn letterbox_keeps_the_aspect_and_fills_the_rest() {
    let (wide, tall) = (gradient(80, 40), gradient(40, 80));
    let (out, turned) = (fitted(&wide, Fit::Letterbox), fitted(&tall, Fit::Letterbox));
    let at = |out: &[u8], x: usize, y: usize| -> [u8; 3] {
        std::array::from_fn(|c| out[(y * 20 + x) * 3 + c])
    };
    for x in 0..20 {
        for y in (0..5).chain(15..20) {
            assert_eq!(at(&out, x, y), FILL);
            assert_eq!(at(&turned, y, x), FILL);
        }
        for y in 5..15 {
            assert_eq!(at(&out, x, y)[2], 50);
            assert_eq!(at(&turned, y, x)[2], 50);
        }
    }
    let mut inner = vec![0; 20 * 10 * 3];
    squash_into(&wide, Crop::whole(&wide), (20, 10), 20, &mut inner).unwrap();
    assert_eq!(&out[5 * 60..15 * 60], inner);
    // A line of one pixel does not vanish, and a square needs no box.
    assert!(fitted(&gradient(100, 1), Fit::Letterbox).contains(&50));
    let square = gradient(40, 40);
    assert_eq!(
        fitted(&square, Fit::Letterbox),
        fitted(&square, Fit::Squash)
    );
}

#[test]
fn cover_is_the_squash_of_the_centred_square() {
    let wide = gradient(81, 40);
    let centre = Crop {
        x: 20,
        y: 0,
        width: 40,
        height: 40,
    };
    assert_eq!(shown(Crop::whole(&wide), Fit::Cover), centre);
    let mut expected = vec![0; 20 * 20 * 3];
    squash_into(&wide, centre, (20, 20), 20, &mut expected).unwrap();
    assert_eq!(fitted(&wide, Fit::Cover), expected);
    assert_ne!(fitted(&wide, Fit::Cover), fitted(&wide, Fit::Squash));
}
