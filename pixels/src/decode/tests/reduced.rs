//! What is reduced in decoding, against the whole picture, and memory.

use super::*;
use crate::encode::encode;
use crate::simd::plainly;

/// Resized to a square, after decoding the whole and after decoding what is needed, and the size that was decoded.
fn both(bytes: &[u8], side: u32) -> (Vec<u8>, Vec<u8>, (usize, usize)) {
    let mut squares = [0, 1].map(|_| vec![0; (side * side * 3) as usize]);
    let [whole, reduced] = &mut squares;
    let fit = |picture: &Picture, out: &mut [u8]| {
        resize_into(picture, Crop::whole(picture), Fit::Squash, side, out).unwrap();
        picture.stored()
    };
    with_picture(bytes, |picture| fit(picture, whole)).unwrap();
    let stored = with_reduced(bytes, side, |picture| fit(picture, reduced)).unwrap();
    let [whole, reduced] = squares;
    (whole, reduced, stored)
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2));
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.sum::<f64>()).log10()
}

/// Black strokes and coloured shapes with hard edges on white, as logos are.
fn shapes(side: u32) -> Vec<u8> {
    let mut rgb = vec![255; (side * side * 3) as usize];
    let mut state = 7u32;
    let mut random = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % n
    };
    for _ in 0..40 {
        let [x0, y0] = [(); 2].map(|()| random(side));
        let (width, height) = (8 + random(side / 4), 8 + random(side / 4));
        let color = [(); 3].map(|()| random(256) as u8);
        let color = *[color, [0; 3], [20, 20, 160]]
            .get(random(3) as usize)
            .unwrap();
        for y in y0..(y0 + height).min(side) {
            for x in x0..(x0 + width).min(side) {
                rgb[((y * side + x) * 3) as usize..][..3].copy_from_slice(&color);
            }
        }
    }
    rgb
}

#[test]
fn a_large_picture_is_reduced_and_stays_within_45_db() {
    let jpeg = encode(&shapes(650), 650, 85).unwrap();
    for (side, expected) in [
        (224, 650),
        (109, 650),
        (108, 325),
        (60, 325),
        (54, 163),
        (40, 163),
        (27, 163),
        (9, 163),
    ] {
        let (whole, reduced, stored) = both(&jpeg, side);
        assert_eq!(stored, (expected, expected), "{side}");
        match expected {
            650 => assert_eq!(whole, reduced),
            _ => assert!(
                psnr(&whole, &reduced) >= 45.0,
                "{side}: {}",
                psnr(&whole, &reduced)
            ),
        }
        assert!(
            plainly(|| both(&jpeg, side)) == (whole, reduced, stored),
            "{side}"
        );
    }
}

/// Of every sampling and division into scans, progressive ones among them.
#[test]
fn every_layout_is_reduced_to_the_same_picture() {
    let mut halved = [0; 3];
    let layouts = layouts::layouts().into_iter();
    for (name, bytes) in layouts.filter(|(name, _)| !name.contains("_by_")) {
        for side in [3, 2] {
            let (whole, reduced, (width, _)) = both(&bytes, side);
            halved[[43, 22, 11].iter().position(|&w| w == width).unwrap()] += 1;
            let (mean, most) = difference(&whole, &reduced);
            // Twelve samples, of which the last are means over blocks that reach beyond the picture's edges.
            assert!(
                mean <= 4.0 && most <= 12,
                "{name} to {side}: mean {mean}, most {most}"
            );
            assert!(
                plainly(|| both(&bytes, side)) == both(&bytes, side),
                "{name}"
            );
        }
    }
    assert!(halved[1..].iter().all(|&n| n > 50), "{halved:?}");
}

/// A crop of a reduced picture is given in pixels of the image, and may begin within a stored pixel.
#[test]
fn crops_of_a_reduced_picture_are_those_of_the_whole() {
    let jpeg = encode(&shapes(650), 650, 85).unwrap();
    for crop in [
        (0, 0, 650, 650),
        (13, 6, 601, 637),
        (1, 3, 649, 641),
        (5, 5, 640, 333),
    ] {
        let (x, y, width, height) = crop;
        let crop = Crop {
            x,
            y,
            width,
            height,
        };
        let mut squares = [0, 1].map(|_| vec![0; 40 * 40 * 3]);
        let [whole, reduced] = &mut squares;
        let fit =
            |picture: &Picture, out: &mut [u8]| resize_into(picture, crop, Fit::Cover, 40, out);
        with_picture(&jpeg, |picture| fit(picture, whole))
            .unwrap()
            .unwrap();
        with_reduced(&jpeg, 80, |picture| fit(picture, reduced))
            .unwrap()
            .unwrap();
        assert!(
            psnr(whole, reduced) >= 45.0,
            "{crop:?}: {}",
            psnr(whole, reduced)
        );
    }
}
