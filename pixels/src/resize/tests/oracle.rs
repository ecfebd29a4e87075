//! Every fit, from many sizes to many, against `fast_image_resize`. It rounds to whole levels between its two passes, as
//! Pillow does, and ours does not: the two differ by one level at most. Its own crop looks at pixels beyond the crop's
//! edges; ours does not, so it is given the crop alone.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::picture;
use crate::picture::Picture;
use crate::resize::{Crop, FILL, Fit, resize_into};

/// What a fit shows of a crop, by its words.
fn shown_by(fit: Fit, crop: Crop) -> Crop {
    let side = crop.width.min(crop.height);
    match fit {
        Fit::Cover => Crop {
            x: crop.x + (crop.width - side) / 2,
            y: crop.y + (crop.height - side) / 2,
            width: side,
            height: side,
        },
        _ => crop,
    }
}

/// The crop, resized to `width` × `height` pixels by `fast_image_resize`.
fn stretched(picture: &Picture, crop: Crop, width: u32, height: u32) -> Vec<u8> {
    let rows = crop.y as usize..(crop.y + crop.height) as usize;
    let row = |y| picture.row(y).skip(crop.x as usize);
    let pixels = rows.flat_map(|y| row(y).take(crop.width as usize));
    let rgb: Vec<u8> = pixels.flatten().collect();
    let source = Image::from_vec_u8(crop.width, crop.height, rgb, PixelType::U8x3).unwrap();
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut out = Image::new(width, height, PixelType::U8x3);
    let resized = Resizer::new().resize(&source, &mut out, &options);
    resized.unwrap();
    out.into_vec()
}

/// What [`resize_into`] should come to.
fn expected(picture: &Picture, crop: Crop, fit: Fit, side: u32) -> Vec<u8> {
    let Fit::Letterbox = fit else {
        return stretched(picture, shown_by(fit, crop), side, side);
    };
    let longer = crop.width.max(crop.height);
    let scaled = |length: u32| {
        let exact = f64::from(length * side) / f64::from(longer);
        exact.round().max(1.0) as u32
    };
    let (width, height) = (scaled(crop.width), scaled(crop.height));
    let inner = stretched(picture, crop, width, height);
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    let inside = |at: u32, begin: u32, length: u32| (begin..begin + length).contains(&at);
    let pixel = |i: u32| -> [u8; 3] {
        let (x, y) = (i % side, i / side);
        if !inside(x, left, width) || !inside(y, top, height) {
            return FILL;
        }
        let at = ((y - top) * width + x - left) as usize * 3;
        std::array::from_fn(|color| inner[at + color])
    };
    (0..side * side).flat_map(pixel).collect()
}

#[test]
fn all_fits_from_all_sizes_are_within_a_level_of_fast_image_resize() {
    let (mut values, mut different) = (0, 0);
    for (i, width) in [1, 2, 3, 17, 64, 97, 224, 375, 500, 1023]
        .into_iter()
        .enumerate()
    {
        for (j, height) in [1, 5, 40, 131, 224, 333, 700].into_iter().enumerate() {
            let picture = picture(width, height, (i * 10 + j) as u32);
            let inner = Crop {
                x: width / 5,
                y: height / 3,
                width: (width / 2).max(1),
                height: (height / 2).max(1),
            };
            for crop in [Crop::whole(&picture), inner] {
                for (fit, side) in [
                    (Fit::Squash, 1),
                    (Fit::Squash, 24),
                    (Fit::Squash, 97),
                    (Fit::Squash, 224),
                    (Fit::Letterbox, 32),
                    (Fit::Letterbox, 128),
                    (Fit::Cover, 31),
                    (Fit::Cover, 112),
                ] {
                    let mut out = vec![0; (side * side * 3) as usize];
                    resize_into(&picture, crop, fit, side, &mut out).unwrap();
                    let expected = expected(&picture, crop, fit, side);
                    for (at, (&ours, &theirs)) in out.iter().zip(&expected).enumerate() {
                        assert!(
                            ours.abs_diff(theirs) <= 1,
                            "{width} × {height}, {crop:?}, {fit:?} to {side}: {ours}, {theirs} at {at}"
                        );
                        different += u64::from(ours != theirs);
                        values += 1;
                    }
                }
            }
        }
    }
    assert!(different * 3 < values, "{different} of {values} differ");
}
