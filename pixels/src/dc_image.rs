//! A picture at an eighth of its size, as the DC coefficients of a JPEG give it without decoding the rest.

use crate::picture::Picture;

/// A mean of luma per block of 8 × 8 pixels, in the units of the file's DC coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DcImage {
    /// Blocks per row, at least 1.
    pub(crate) width: usize,
    /// Rows of blocks, at least 1.
    pub(crate) height: usize,
    /// Row by row, `[height, width]`.
    pub(crate) means: Vec<i32>,
}

impl DcImage {
    /// A decoded picture at an eighth of its size, as the DC coefficients of a JPEG would give it: a mean of luma (ITU-R
    /// BT.601, as JFIF has it) per block of 8 × 8 pixels.
    pub(crate) fn of(picture: &Picture) -> Self {
        let (width, height) = picture.stored();
        let (across, down) = (width.div_ceil(8), height.div_ceil(8));
        let mut sums = vec![0u32; across * down];
        for y in 0..height {
            for (x, rgb) in picture.row(y).enumerate() {
                let [r, g, b] = rgb.map(u32::from);
                sums[y / 8 * across + x / 8] += (299 * r + 587 * g + 114 * b) / 100;
            }
        }
        let count = |i: usize| {
            let (x, y) = (i % across * 8, i / across * 8);
            ((width - x).min(8) * (height - y).min(8)) as u32
        };
        let means = (0..sums.len()).map(|i| (sums[i] / count(i)) as i32);
        Self {
            width: across,
            height: down,
            means: means.collect(),
        }
    }
}
