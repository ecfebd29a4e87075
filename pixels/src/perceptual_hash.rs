//! What a picture looks like, in 64 bits: the DCT perceptual hash ("pHash", Zauner 2010) of its luma at an eighth of its
//! size. Two files whose hashes differ in few bits are worth a second look; nothing is decided by a hash alone.
//!
//! All arithmetic is on integers, so that every machine finds the same hash.

use std::sync::LazyLock;

use crate::dc_image::DcImage;
use crate::picture::Picture;

/// Side of the square that is transformed.
const SIDE: usize = 32;
/// Side of the block of low frequencies that is kept.
const KEPT: usize = 8;
/// Fixed-point one.
const ONE: f64 = 16384.0;

/// The perceptual hash of a picture. See [`crate::look`], which finds that of a file without decoding it where it can.
///
/// The number of bits in which two hashes differ tells how much two pictures differ: 0 to 3 where they look the same,
/// about 32 where they have nothing in common.
///
/// ```
/// use logodex_pixels::{Format, Picture, phash};
///
/// // A disc on a background, at some brightness.
/// let disc = |side: u32, light: u8| {
///     let pixel = |i: u32| {
///         let [x, y] = [i % side, i / side].map(|at| f64::from(at) / f64::from(side) - 0.4);
///         if x.hypot(y) < 0.3 { [light; 3] } else { [20, 40, 60] }
///     };
///     let rgb: Vec<u8> = (0..side * side).flat_map(pixel).collect();
///     Picture::from_rgb(Format::Png, side, side, &rgb)
/// };
/// let differing = |a: &Picture, b: &Picture| (phash(a) ^ phash(b)).count_ones();
/// assert!(differing(&disc(320, 200), &disc(480, 250)) <= 3);
/// let flipped: Vec<u8> = disc(320, 200).to_rgb().into_iter().rev().collect();
/// let flipped = Picture::from_rgb(Format::Png, 320, 320, &flipped);
/// assert!(differing(&disc(320, 200), &flipped) > 16);
/// ```
pub fn phash(picture: &Picture) -> u64 {
    of_dc_image(&DcImage::of(picture))
}

/// The perceptual hash of a picture of which a mean per block is known.
pub(crate) fn of_dc_image(picture: &DcImage) -> u64 {
    let square = shrink(picture);
    let cosines = &*COSINES;
    // Rows, then columns; only the frequencies that are kept. 32 values of at most 2^26 times 2^14: no overflow in i64.
    let mut rows = [[0i64; KEPT]; SIDE];
    for (row, values) in rows.iter_mut().zip(square.chunks_exact(SIDE)) {
        for (out, cosines) in row.iter_mut().zip(cosines) {
            *out = values.iter().zip(cosines).map(|(v, c)| v * c).sum::<i64>() >> 14;
        }
    }
    let mut frequencies = [0i64; KEPT * KEPT];
    for (v, cosines) in cosines.iter().enumerate() {
        for u in 0..KEPT {
            frequencies[v * KEPT + u] = rows.iter().zip(cosines).map(|(row, c)| row[u] * c).sum();
        }
    }
    // The mean brightness says nothing of the picture, and would move the median.
    let mut sorted: Vec<i64> = frequencies[1..].to_vec();
    sorted.sort_unstable();
    let median = sorted[sorted.len() / 2];
    let bit = |(i, &f): (usize, &i64)| u64::from(i > 0 && f > median) << i;
    frequencies.iter().enumerate().map(bit).sum()
}

/// DCT-II cosines, `[frequency][position]`, fixed point.
static COSINES: LazyLock<[[i64; SIDE]; KEPT]> = LazyLock::new(|| {
    std::array::from_fn(|k| {
        std::array::from_fn(|i| {
            let angle = std::f64::consts::PI * (2 * i + 1) as f64 * k as f64 / (2 * SIDE) as f64;
            (angle.cos() * ONE).round() as i64
        })
    })
});

/// The means over the cells of a 32 × 32 grid laid over the picture, times 256.
fn shrink(picture: &DcImage) -> Vec<i64> {
    let across = overlaps(picture.width);
    let down = overlaps(picture.height);
    let mut lines = vec![0i64; picture.height * SIDE];
    for (line, means) in lines
        .chunks_exact_mut(SIDE)
        .zip(picture.means.chunks_exact(picture.width))
    {
        for (out, overlaps) in line.iter_mut().zip(&across) {
            *out = overlaps.iter().map(|&(x, w)| i64::from(means[x]) * w).sum();
        }
    }
    let area = (picture.width * picture.height) as i64;
    let mut square = Vec::with_capacity(SIDE * SIDE);
    for overlaps in &down {
        for cell in 0..SIDE {
            let sum: i64 = overlaps
                .iter()
                .map(|&(y, w)| lines[y * SIDE + cell] * w)
                .sum();
            square.push((sum * 256).div_euclid(area));
        }
    }
    square
}

/// For each of the 32 cells of a line of `n` values: which values it covers, and by how much (a whole cell is `n`).
fn overlaps(n: usize) -> Vec<Vec<(usize, i64)>> {
    (0..SIDE)
        .map(|cell| {
            let (begin, end) = (cell * n, (cell + 1) * n);
            (begin / SIDE..end.div_ceil(SIDE))
                .map(|i| {
                    let overlap = end.min((i + 1) * SIDE) - begin.max(i * SIDE);
                    (i, overlap as i64)
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;
    use crate::jpeg;
    use crate::picture::Format;

    fn golden(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    #[test]
    fn dc_coefficients_and_decoded_pixels_look_the_same() {
        for name in [
            "baseline_420.jpg",
            "baseline_444.jpg",
            "restarts_422.jpg",
            "grey.jpg",
            "progressive.jpg",
        ] {
            let bytes = golden(name);
            let walked = jpeg::walk(&bytes).unwrap();
            let picture = decode(&bytes).unwrap();
            let decoded = DcImage::of(&picture);
            assert_eq!(
                (walked.width, walked.height),
                (decoded.width, decoded.height),
                "{name}"
            );
            let distance = (of_dc_image(&walked) ^ phash(&picture)).count_ones();
            // The blocks at the right and lower edges hold padding, which counts for much in so small a picture.
            assert!(distance <= 4, "{name}: {distance} bits differ");
        }
    }

    #[test]
    fn brightness_and_size_change_little_and_another_picture_much() {
        let picture = |seed: u32, side: usize, add: i32| {
            let value = |x: f64, y: f64| {
                let s = f64::from(seed);
                (90.0 * (x * (3.0 + s) + s).sin() + 70.0 * (y * 5.0 - s * x).cos()) as i32 + add
            };
            let at = |i: usize| i as f64 / side as f64;
            let means = (0..side * side).map(|i| value(at(i % side), at(i / side)));
            of_dc_image(&DcImage {
                width: side,
                height: side,
                means: means.collect(),
            })
        };
        assert!((picture(1, 60, 0) ^ picture(1, 60, 25)).count_ones() <= 1);
        assert!((picture(1, 60, 0) ^ picture(1, 90, 0)).count_ones() <= 6);
        assert!((picture(1, 60, 0) ^ picture(2, 60, 0)).count_ones() >= 16);
    }

    #[test]
    fn one_block_and_a_flat_picture_have_a_hash() {
        let flat = |width: usize, height: usize| DcImage {
            width,
            height,
            means: vec![7; width * height],
        };
        assert_eq!(of_dc_image(&flat(1, 1)), of_dc_image(&flat(200, 3)));
        let tiny = Picture::from_rgb(Format::Png, 1, 1, &[9, 9, 9]);
        assert_eq!(DcImage::of(&tiny).means.len(), 1);
    }
}
