//! A JPEG's picture at an eighth of its size in colour, as its DC coefficients give it.

use super::frame::Scanner;
use super::samples::Colors;
use crate::dc_image::DcImage;
use crate::picture::{Format, Picture};

/// The DC coefficients of a component, and by what they are to be multiplied.
pub(super) type Dc = (DcImage, u16);

/// The mean of each block of 8 × 8 pixels, those that the picture does not fill left out unless there is nothing else. None for
/// CMYK, and where a component is missing.
pub(super) fn picture(
    frame: &Scanner,
    colors: Colors,
    components: &[Option<Dc>],
) -> Option<Picture> {
    let (h_max, v_max) = frame.largest_factors();
    let size = |length: u32| (length / 8).max(1);
    let (width, height) = (size(frame.frame.width), size(frame.frame.height));
    let mean = |component: usize, x: u32, y: u32| {
        let (image, step) = components.get(component)?.as_ref()?;
        let sampling = &frame.components[component];
        // Where chroma is coded at a half, four blocks share one.
        let x = x as usize * sampling.horizontal / h_max;
        let y = y as usize * sampling.vertical / v_max;
        let dc = *image.means.get(y * image.width + x)?;
        // A coefficient is eight times the mean, and counted from the middle of the range.
        let mean = i64::from(dc) * i64::from(*step) + 4;
        Some(((mean >> 3) + 128).clamp(0, 255) as i32)
    };
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let first = mean(0, x, y)?;
            let pixel = match colors {
                Colors::Grey => [first; 3],
                Colors::Rgb => [first, mean(1, x, y)?, mean(2, x, y)?],
                Colors::Ycc => to_rgb(first, mean(1, x, y)?, mean(2, x, y)?),
                Colors::Cmyk | Colors::Ycck => return None,
            };
            rgb.extend(pixel.map(|value| value.clamp(0, 255) as u8));
        }
    }
    let format = match colors {
        Colors::Grey => Format::JpegGrey,
        _ => Format::Jpeg,
    };
    Some(Picture::from_rgb(format, width, height, &rgb))
}

/// JFIF's equations, with sixteen bits behind the point.
fn to_rgb(luma: i32, cb: i32, cr: i32) -> [i32; 3] {
    let (cb, cr, half) = (cb - 128, cr - 128, 1 << 15);
    [
        luma + ((91_881 * cr + half) >> 16),
        luma - ((22_554 * cb + 46_802 * cr + half) >> 16),
        luma + ((116_130 * cb + half) >> 16),
    ]
}
