//! RGB pixels → a square: the only door to `fast_image_resize`.

use std::cell::RefCell;

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::decode::{Picture, locked};

/// A rectangle of source pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

impl Crop {
    /// The whole picture.
    pub fn whole(picture: &Picture) -> Self {
        Self {
            x: 0,
            y: 0,
            width: picture.width,
            height: picture.height,
        }
    }

    /// A box `[x0, y0, x1, y1)` that lies in the picture, with `context` times its width added on the left and on the
    /// right and `context` times its height above and below (rounded to whole pixels), clipped to the picture.
    pub fn with_context([x0, y0, x1, y1]: [u32; 4], context: f32, picture: &Picture) -> Self {
        let margin = |length: u32| (f64::from(length) * f64::from(context)).round() as u32;
        let (dx, dy) = (margin(x1 - x0), margin(y1 - y0));
        let (x, y) = (x0.saturating_sub(dx), y0.saturating_sub(dy));
        Self {
            x,
            y,
            width: x1.saturating_add(dx).min(picture.width) - x,
            height: y1.saturating_add(dy).min(picture.height) - y,
        }
    }
}

thread_local! {
    static RESIZER: RefCell<Resizer> = RefCell::default();
}

/// Crops and squashes to a square: bilinear with a support that grows with the reduction (antialiased), as Pillow's
/// `crop(...).resize((side, side), BILINEAR)` and torchvision's `Resize`. Writes `out`, `[side, side, 3]`.
///
/// # Errors
/// A crop that does not lie in the picture, or an `out` of another length: a mistake of the caller.
pub fn resize_into(picture: &Picture, crop: Crop, side: u32, out: &mut [u8]) -> anyhow::Result<()> {
    let source = ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3)?;
    // A cropped view, not the resizer's crop box: that one lets the filter reach beyond the crop's edges.
    let view = CroppedImage::new(&source, crop.x, crop.y, crop.width, crop.height)?;
    let mut target = Image::from_slice_u8(side, side, out, PixelType::U8x3)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    RESIZER.with_borrow_mut(|resizer| resizer.resize(&view, &mut target, &options))?;
    Ok(())
}

/// Name, filter and version of the resizer, for the manifest.
pub fn resizer_version() -> String {
    format!(
        "fast_image_resize {}, bilinear convolution",
        locked("fast_image_resize")
    )
}
