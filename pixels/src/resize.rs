//! Crops a [`Picture`] and fits it to a square, as Pillow and torchvision do: bilinear, antialiased, in integers, so that
//! every processor finds the same pixels.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::picture::Picture;
use passes::{Resize, Rows};
use weights::{Horizontal, Line, Vertical};

pub use crop::{Crop, Fit, shown};

mod crop;
mod passes;
mod weights;

/// Why a crop cannot be fitted to a square: a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResizeError {
    /// There is no room for exactly one square.
    #[error("out is no square of side {side}")]
    NoSquare {
        /// The side that was given.
        side: u32,
    },
    /// The crop is empty or reaches out of the picture.
    #[error("{crop:?} does not lie in the picture")]
    Outside {
        /// The crop that was given.
        crop: Crop,
    },
}

/// What a thread keeps from one resize to the next.
#[derive(Default)]
struct Kept {
    rows: Rows,
    /// Images of a brand are often of one size.
    vertical: HashMap<Line, Rc<Vertical>>,
    horizontal: HashMap<Line, Rc<Horizontal>>,
    /// Numbers that the filters hold.
    held: usize,
}

/// The most numbers that a thread's filters may hold.
const MOST_HELD: usize = 1 << 20;

impl Kept {
    fn filters(&mut self, column: Line, row: Line) -> (Rc<Vertical>, Rc<Horizontal>) {
        if self.held > MOST_HELD {
            *self = Self::default();
        }
        let held = &mut self.held;
        let vertical = self.vertical.entry(column).or_insert_with(|| {
            let filter = Vertical::new(column);
            *held += filter.held();
            Rc::new(filter)
        });
        let horizontal = self.horizontal.entry(row).or_insert_with(|| {
            let filter = Horizontal::new(row);
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

/// Crops and fits to a square: bilinear with a support that grows with the reduction (antialiased), as Pillow's
/// `crop(...).resize(size, BILINEAR)` and torchvision's `Resize`. Writes `out`, `[side, side, 3]`. With `letterbox` the
/// longer side becomes `side`, the shorter is rounded, at least 1, and centred (the odd line below or to the right).
///
/// ```
/// use logodex_pixels::{Crop, Fit, Format, Picture, resize_into};
///
/// // Red on the left, blue on the right.
/// let rgb: Vec<u8> = (0..40 * 20).flat_map(|i| if i % 40 < 20 { [255, 0, 0] } else { [0, 0, 255] }).collect();
/// let picture = Picture::from_rgb(Format::Png, 40, 20, &rgb);
///
/// let mut square = [0; 8 * 8 * 3];
/// resize_into(&picture, Crop::whole(&picture), Fit::Letterbox, 8, &mut square)?;
/// assert_eq!(square[..3], [124, 116, 104]);
/// assert_eq!(square[4 * 8 * 3..][..3], [255, 0, 0]);
///
/// // A box with a tenth of its size around it.
/// let crop = Crop::with_context([22, 5, 32, 15], 0.1, &picture);
/// resize_into(&picture, crop, Fit::Squash, 8, &mut square)?;
/// assert_eq!(square, [[0, 0, 255]; 64].concat()[..]);
/// # Ok::<(), logodex_pixels::ResizeError>(())
/// ```
///
/// # Errors
/// [`ResizeError`]: a crop that does not lie in the picture, or an `out` of another length.
pub fn resize_into(
    picture: &Picture,
    crop: Crop,
    fit: Fit,
    side: u32,
    out: &mut [u8],
) -> Result<(), ResizeError> {
    let crop = shown(crop, fit);
    if side == 0 || out.len() != side as usize * side as usize * 3 {
        return Err(ResizeError::NoSquare { side });
    }
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

/// Resizes the whole picture to `width` × `height` pixels, `out` being `[height, width, 3]`.
pub(crate) fn reduce_into(picture: &Picture, (width, height): (usize, usize), out: &mut [u8]) {
    assert_eq!(out.len(), width * height * 3);
    let size = (width as u32, height as u32);
    let done = squash_into(picture, Crop::whole(picture), size, size.0, out);
    debug_assert!(done.is_ok(), "the whole picture lies in it");
}

/// Resizes a crop to `width` × `height` pixels at the beginning of `out`, whose rows are `pitch` pixels.
fn squash_into(
    picture: &Picture,
    crop: Crop,
    (width, height): (u32, u32),
    pitch: u32,
    out: &mut [u8],
) -> Result<(), ResizeError> {
    let inside = |begin: u32, length: u32, all: u32| {
        length > 0 && begin.checked_add(length).is_some_and(|end| end <= all)
    };
    if !inside(crop.x, crop.width, picture.width) || !inside(crop.y, crop.height, picture.height) {
        return Err(ResizeError::Outside { crop });
    }
    let (stride, _) = picture.stored();
    let halvings = picture.halvings;
    let begin = (crop.y >> halvings) as usize * stride + (crop.x >> halvings) as usize;
    let column = Line::new(crop.y, crop.height, height, halvings);
    let row = Line::new(crop.x, crop.width, width, halvings);
    KEPT.with_borrow_mut(|kept| {
        let (vertical, horizontal) = kept.filters(column, row);
        let job = Resize {
            planes: [0, 1, 2].map(|color| &picture.padded_plane(color)[begin..]),
            stride,
            width: row.stored(),
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

/// Name, version and filter of the resizer, for a manifest.
pub fn resizer_version() -> String {
    format!("logodex pixels resizer {REVISION}: antialiased bilinear as Pillow's")
}

#[cfg(test)]
mod tests;
