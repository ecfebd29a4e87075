//! Numbers that tell a poor picture: dark, light, without information, blurry, without colour. Nothing is judged here: whoever
//! asks has the limits.
//!
//! The definitions are CleanVision's (Cleanlab, `cleanvision` 0.3.6, `issue_managers/image_property.py`): percentiles of the
//! brightness √(0.241 R² + 0.691 G² + 0.068 B²), the entropy of the histogram of all channels, the spread of an edge filter on
//! the grey picture at 64 pixels. They differ in these points:
//!
//! - A picture of which the longer side has more than 384 pixels is measured at an eighth of its size, as means of 8 × 8 pixels.
//! - The edge filter leaves the outermost pixels as they are. CleanVision takes the spread with them, so that a blurry picture
//!   on white is sharp by its margin; here they are left out, and numbers are lower.
//! - The grey picture is made by Pillow's bilinear filter, not its bicubic one.
//! - A picture is grey by its pixels, not by its file's mode.

use crate::picture::Picture;
use crate::resize::reduce_into;

/// A picture is measured at an eighth of its size if its longer side has more pixels than this: 48 are left at least.
pub(crate) const WHOLE_UP_TO: u32 = 384;
/// Longer side of the picture whose edges are measured, pixels.
const EDGES_AT: usize = 64;
/// Squares of brightness are counted in so many steps, each of 16 of 65,025.
const STEPS: usize = ((255 * 255) >> 4) + 1;

/// What is measured of a picture. To four decimals, so that every machine says the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// The brightness that 5 % of the pixels do not reach, 0 to 1: high in a picture that is light all over.
    pub brightness_5: f32,
    /// The brightness that 99 % of the pixels do not exceed, 0 to 1: low in a picture that is dark all over.
    pub brightness_99: f32,
    /// Entropy of the values of all channels in one histogram, bits, 0 to 9.6; of a grey picture, of the one channel.
    pub entropy: f32,
    /// Standard deviation of the edges (Laplacian of eight neighbours, 0 to 255) of the grey picture at 64 pixels, its
    /// outermost pixels left out: low in a blurry picture.
    pub edges: f32,
    /// Standard deviation of the counts of the 256 grey levels at 64 pixels: high in a drawing of few tones, which has few
    /// edges and is not blurry.
    pub tones: f32,
    /// The largest difference of two channels of a pixel, 0 to 255: low in a picture without colour.
    pub color: u8,
}

/// Measures a picture, its pixels as they are stored.
///
/// ```
/// use logodex_pixels::{Format, Picture, quality};
///
/// let dark = Picture::from_rgb(Format::Png, 40, 40, &[12; 40 * 40 * 3]);
/// let found = quality(&dark);
/// assert!((found.brightness_99 - 12.0 / 255.0).abs() < 0.01);
/// assert_eq!((found.entropy, found.edges, found.color), (0.0, 0.0, 0));
/// ```
pub fn quality(picture: &Picture) -> Quality {
    let (mut brightness, mut levels) = (vec![0u32; STEPS], [[0u32; 256]; 3]);
    let mut color = 0;
    let [red, green, blue] = [0, 1, 2].map(|channel| picture.plane(channel));
    for ((&r, &g), &b) in red.iter().zip(green).zip(blue) {
        let square = |value: u8, weight: u32| weight * u32::from(value) * u32::from(value);
        // Weights of 65,536 in all: the sum fits.
        let light = (square(r, 15_794) + square(g, 45_286) + square(b, 4_456)) >> 16;
        brightness[(light >> 4) as usize] += 1;
        levels[0][usize::from(r)] += 1;
        levels[1][usize::from(g)] += 1;
        levels[2][usize::from(b)] += 1;
        color = color.max(r.max(g).max(b) - r.min(g).min(b));
    }
    let channels = if color == 0 { 1 } else { 3 };
    let (edges, tones) = sharpness(picture);
    Quality {
        brightness_5: rounded(percentile(&brightness, 0.05)),
        brightness_99: rounded(percentile(&brightness, 0.99)),
        entropy: rounded(entropy(levels[..channels].as_flattened())),
        edges: rounded(edges),
        tones: rounded(tones),
        color,
    }
}

/// An eighth of a picture: means of 8 × 8 pixels. What fills no block at the right and lower edges is left out, unless there
/// is nothing else.
pub(crate) fn eighth(picture: &Picture) -> Picture {
    let (width, height) = picture.stored();
    let (across, down) = ((width / 8).max(1), (height / 8).max(1));
    let mut rgb = vec![0; across * down * 3];
    for channel in 0..3 {
        let plane = picture.plane(channel);
        for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i % across * 8, i / across * 8);
            let rows = y..(y + 8).min(height);
            let columns = x..(x + 8).min(width);
            let n = (rows.len() * columns.len()) as u32;
            let of_row = |row: usize| {
                let values = &plane[row * width..][columns.clone()];
                values.iter().map(|&value| u32::from(value)).sum::<u32>()
            };
            pixel[channel] = ((rows.map(of_row).sum::<u32>() + n / 2) / n) as u8;
        }
    }
    Picture::from_rgb(picture.format, across as u32, down as u32, &rgb)
}

fn rounded(value: f64) -> f32 {
    ((value * 1e4).round() / 1e4) as f32
}

/// The brightness below which this part of the pixels lies, between two pixels by their distance, as numpy has it.
fn percentile(steps: &[u32], part: f64) -> f64 {
    let n: u32 = steps.iter().sum();
    let place = part * f64::from(n.saturating_sub(1));
    let of_pixel = |pixel: u32| {
        let mut below = 0;
        let step = steps.iter().position(|&count| {
            below += count;
            below > pixel
        });
        // The middle of the step; black and white are exact.
        let (last, step) = (STEPS - 1, step.unwrap_or(0));
        let square = match step {
            0 => 0.0,
            _ if step == last => 65_025.0,
            _ => 16.0 * step as f64 + 7.5,
        };
        square.sqrt() / 255.0
    };
    let (low, high) = (
        of_pixel(place.floor() as u32),
        of_pixel(place.ceil() as u32),
    );
    low + (high - low) * place.fract()
}

/// Shannon's entropy of a histogram, bits.
fn entropy(counts: &[u32]) -> f64 {
    let all: f64 = counts.iter().map(|&n| f64::from(n)).sum();
    let parts = counts.iter().filter(|&&n| n > 0);
    parts
        .map(|&n| f64::from(n) / all)
        .map(|part| -part * part.log2())
        .sum::<f64>()
        .max(0.0)
}

/// The spread of the edges and that of the counts of the grey levels, at 64 pixels.
fn sharpness(picture: &Picture) -> (f64, f64) {
    let (width, height) = picture.stored();
    let longer = width.max(height);
    let fitted = |length: usize| match longer > EDGES_AT {
        true => (length * EDGES_AT / longer).max(1),
        false => length,
    };
    let (width, height) = (fitted(width), fitted(height));
    let mut rgb = vec![0; width * height * 3];
    reduce_into(picture, (width, height), &mut rgb);
    // Pillow's "L", ITU-R BT.601 with sixteen bits behind the point.
    let luma = |rgb: &[u8]| {
        let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
        ((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as i32
    };
    let grey: Vec<i32> = rgb.chunks_exact(3).map(luma).collect();
    let mut tones = [0u32; 256];
    grey.iter().for_each(|&level| tones[level as usize] += 1);
    let tones = deviation(tones.iter().map(|&n| f64::from(n)));
    let inner = |length: usize| 1..length.saturating_sub(1).max(1);
    let edges = inner(height).flat_map(|y| {
        let grey = &grey;
        inner(width).map(move |x| {
            let sum: i32 = (y - 1..=y + 1)
                .map(|y| grey[y * width + x - 1..][..3].iter().sum::<i32>())
                .sum();
            f64::from((9 * grey[y * width + x] - sum).clamp(0, 255))
        })
    });
    (deviation(edges), tones)
}

/// The standard deviation of all there are; of none, 0.
fn deviation(values: impl Iterator<Item = f64>) -> f64 {
    let (mut n, mut sum, mut squares) = (0.0f64, 0.0, 0.0);
    for value in values {
        n += 1.0;
        sum += value;
        squares += value * value;
    }
    let n = n.max(1.0);
    let mean = sum / n;
    (squares / n - mean * mean).max(0.0).sqrt()
}

#[cfg(test)]
mod tests;
