//! Which rectangle of a picture is taken, and how it is to become a square.

use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// A rectangle of source pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// How a region of any shape becomes a square. All three are bilinear with antialiasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Both sides scaled to the square's, whatever the aspect (torchvision's `Resize((side, side))`).
    Squash,
    /// The longer side scaled to the square's, the rest filled with the ImageNet mean colour (124, 116, 104), which
    /// normalisation turns into about 0.
    Letterbox,
    /// The largest centred square of the region (torchvision's `Resize(side)` and `CenterCrop(side)`).
    Cover,
}

/// The part of a crop that a fit shows: all of it, but for `cover`.
pub fn shown(crop: Crop, fit: Fit) -> Crop {
    if fit != Fit::Cover {
        return crop;
    }
    let side = crop.width.min(crop.height);
    Crop {
        x: crop.x + (crop.width - side) / 2,
        y: crop.y + (crop.height - side) / 2,
        width: side,
        height: side,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Format;

    #[test]
    fn context_is_added_on_each_side_and_clipped() {
        let picture = Picture::from_rgb(Format::Png, 100, 80, &[0; 100 * 80 * 3]);
        assert_eq!(
            Crop::with_context([20, 30, 40, 70], 0.1, &picture),
            Crop {
                x: 18,
                y: 26,
                width: 24,
                height: 48
            }
        );
        assert_eq!(
            Crop::with_context([0, 30, 100, 70], 2.0, &picture),
            Crop {
                x: 0,
                y: 0,
                width: 100,
                height: 80
            }
        );
    }
}
