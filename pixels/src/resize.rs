//! RGB pixels → a square, as Pillow and torchvision resize: [`weights`] are the filter, [`passes`] apply it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::Fit;
use serde::{Deserialize, Serialize};

use crate::decode::Picture;
use passes::{Resize, Rows};
use weights::{Horizontal, Vertical};

mod passes;
mod weights;

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

/// What a thread keeps from one resize to the next.
#[derive(Default)]
struct Kept {
    rows: Rows,
    /// Filters by the length of the source and that of the output: images of a brand are often of one size.
    vertical: HashMap<(u32, u32), Rc<Vertical>>,
    horizontal: HashMap<(u32, u32), Rc<Horizontal>>,
    /// Numbers that the filters hold.
    held: usize,
}

/// The most numbers that a thread's filters may hold.
const MOST_HELD: usize = 1 << 20;

impl Kept {
    fn filters(
        &mut self,
        crop: Crop,
        (width, height): (u32, u32),
    ) -> (Rc<Vertical>, Rc<Horizontal>) {
        if self.held > MOST_HELD {
            *self = Self::default();
        }
        let held = &mut self.held;
        let vertical = self
            .vertical
            .entry((crop.height, height))
            .or_insert_with(|| {
                let filter = Vertical::new(crop.height, height);
                *held += filter.held();
                Rc::new(filter)
            });
        let horizontal = self
            .horizontal
            .entry((crop.width, width))
            .or_insert_with(|| {
                let filter = Horizontal::new(crop.width, width);
                *held += filter.held();
                Rc::new(filter)
            });
        (Rc::clone(vertical), Rc::clone(horizontal))
    }
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// The colour around a letterboxed picture: the ImageNet mean, so that normalisation makes it about 0.
const FILL: [u8; 3] = [124, 116, 104];

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

/// Crops and fits to a square: bilinear with a support that grows with the reduction (antialiased), as Pillow's
/// `crop(...).resize(size, BILINEAR)` and torchvision's `Resize`. Writes `out`, `[side, side, 3]`. With `letterbox` the
/// longer side becomes `side`, the shorter is rounded, at least 1, and centred (the odd line below or to the right).
///
/// # Errors
/// A crop that does not lie in the picture, or an `out` of another length: a mistake of the caller.
pub fn resize_into(
    picture: &Picture,
    crop: Crop,
    fit: Fit,
    side: u32,
    out: &mut [u8],
) -> anyhow::Result<()> {
    let crop = shown(crop, fit);
    anyhow::ensure!(
        side > 0 && out.len() == side as usize * side as usize * 3,
        "out is no square of side {side}"
    );
    if fit != Fit::Letterbox || crop.width == crop.height {
        return squash_into(picture, crop, (side, side), side, out);
    }
    let longer = f64::from(crop.width.max(crop.height));
    let scaled = |length: u32| {
        let exact = f64::from(length) * f64::from(side) / longer;
        (exact.round() as u32).clamp(1, side)
    };
    let (width, height) = (scaled(crop.width), scaled(crop.height));
    for pixel in out.chunks_exact_mut(3) {
        pixel.copy_from_slice(&FILL);
    }
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    let begin = (top * side + left) as usize * 3;
    squash_into(picture, crop, (width, height), side, &mut out[begin..])
}

/// Resizes a crop to `width` × `height` pixels at the beginning of `out`, whose rows are `pitch` pixels.
fn squash_into(
    picture: &Picture,
    crop: Crop,
    (width, height): (u32, u32),
    pitch: u32,
    out: &mut [u8],
) -> anyhow::Result<()> {
    let inside = |begin: u32, length: u32, all: u32| {
        length > 0 && begin.checked_add(length).is_some_and(|end| end <= all)
    };
    anyhow::ensure!(
        inside(crop.x, crop.width, picture.width) && inside(crop.y, crop.height, picture.height),
        "{crop:?} does not lie in the picture"
    );
    let stride = picture.width as usize;
    let begin = crop.y as usize * stride + crop.x as usize;
    KEPT.with_borrow_mut(|kept| {
        let (vertical, horizontal) = kept.filters(crop, (width, height));
        let job = Resize {
            planes: [0, 1, 2].map(|color| &picture.padded_plane(color)[begin..]),
            stride,
            width: crop.width as usize,
            vertical: &vertical,
            horizontal: &horizontal,
        };
        passes::resize(
            &job,
            &mut kept.rows,
            out,
            pitch as usize * 3,
            width as usize,
        );
    });
    Ok(())
}

/// To be raised with every change that changes a pixel.
const REVISION: u32 = 1;

/// Name, version and filter of the resizer, for the manifest.
pub fn resizer_version() -> String {
    format!("logodex resize {REVISION}, antialiased bilinear as Pillow's")
}

#[cfg(test)]
mod tests;
