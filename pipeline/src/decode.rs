//! JPEG bytes → RGB pixels: the only door to `image`. What is done with the pixels is `resize`'s.
//!
//! The decoder behind `image` forgives what it should not: it paints missing rows grey and succeeds. So every file
//! first passes [`crate::jpeg`], which reads all of its entropy-coded data. EXIF orientation is not applied: no file of
//! LogoDet-3K carries one, and its boxes are in stored pixels.

use std::cell::RefCell;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::{ColorType, ImageDecoder};
use logodex_schemas::dataset::RejectReason;

use crate::jpeg::{self, Eighth};
use crate::perception;

/// The most pixels that an image may have: 64 Mi, which is 192 MiB of RGB.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Why an image was refused, in the words of `rejects.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The reason: one of the four `Image*` reasons that a file's content can have.
    pub reason: RejectReason,
    /// What was found.
    pub detail: String,
}

impl From<jpeg::Defect> for DecodeError {
    fn from(defect: jpeg::Defect) -> Self {
        let reason = match defect {
            jpeg::Defect::Truncated(_) => RejectReason::ImageTruncated,
            jpeg::Defect::Broken(_) => RejectReason::ImageBroken,
        };
        Self {
            reason,
            detail: defect.to_string(),
        }
    }
}

fn image_broken(detail: impl std::fmt::Display) -> DecodeError {
    DecodeError {
        reason: RejectReason::ImageBroken,
        detail: detail.to_string(),
    }
}

/// A decoded image.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Row by row, `[height, width, 3]`, RGB.
    pub rgb: Vec<u8>,
}

/// What a thread keeps from one image to the next.
#[derive(Default)]
struct Buffers {
    picture: Picture,
    grey: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Decodes a JPEG into a buffer that the thread keeps, and shows it to `look`. Grey and CMYK images become RGB.
///
/// # Errors
/// [`DecodeError`]: empty, truncated, broken, or more than [`MAX_PIXELS`] as told by the header, before anything is
/// allocated.
pub fn with_picture<R>(bytes: &[u8], look: impl FnOnce(&Picture) -> R) -> Result<R, DecodeError> {
    let frame = gate(bytes)?;
    let closed = if jpeg::walk(bytes)?.closed {
        None
    } else {
        // Without the marker the decoder would drop the last row, although it is there.
        Some([bytes, &EOI].concat())
    };
    BUFFERS.with_borrow_mut(|buffers| {
        decode_into(closed.as_deref().unwrap_or(bytes), frame, buffers)?;
        Ok(look(&buffers.picture))
    })
}

/// Decodes a JPEG into a picture of its own. See [`with_picture`].
///
/// # Errors
/// As [`with_picture`].
pub fn decode(bytes: &[u8]) -> Result<Picture, DecodeError> {
    with_picture(bytes, Picture::clone)
}

/// What is known of an image file without keeping its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// [`perception::phash`] of the picture.
    pub phash: u64,
}

/// Looks at an image file: is it whole, how large is it, what does it look like? A sequential JPEG is not decoded for it.
///
/// # Errors
/// As [`with_picture`], but for what only the decoder itself can find.
pub fn look(bytes: &[u8]) -> Result<Seen, DecodeError> {
    let frame = gate(bytes)?;
    let seen = |picture: &Eighth| Seen {
        width: frame.width,
        height: frame.height,
        phash: perception::phash(picture),
    };
    match jpeg::walk(bytes)?.eighth {
        Some(eighth) => Ok(seen(&eighth)),
        None => with_picture(bytes, |picture| seen(&perception::eighth(picture))),
    }
}

/// As [`with_picture`], for bytes that [`look`] has found whole: a sequential JPEG is not walked a second time.
///
/// # Errors
/// What only the decoder itself can find.
pub fn with_seen_picture<R>(
    bytes: &[u8],
    look: impl FnOnce(&Picture) -> R,
) -> Result<R, DecodeError> {
    if !bytes.ends_with(&EOI) {
        return with_picture(bytes, look);
    }
    BUFFERS.with_borrow_mut(|buffers| {
        decode_into(bytes, gate(bytes)?, buffers)?;
        Ok(look(&buffers.picture))
    })
}

/// The marker that closes a JPEG.
const EOI: [u8; 2] = [0xff, 0xd9];

/// What the header alone can tell.
fn gate(bytes: &[u8]) -> Result<jpeg::Frame, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError {
            reason: RejectReason::ImageEmpty,
            detail: "the file has no bytes".to_owned(),
        });
    }
    let frame = jpeg::frame(bytes)?;
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    if pixels > MAX_PIXELS {
        return Err(DecodeError {
            reason: RejectReason::ImageTooLarge,
            detail: format!(
                "{} × {} pixels; at most {MAX_PIXELS} are decoded",
                frame.width, frame.height
            ),
        });
    }
    Ok(frame)
}

fn decode_into(bytes: &[u8], frame: jpeg::Frame, buffers: &mut Buffers) -> Result<(), DecodeError> {
    // A panic of the decoder on one hostile file must not end a build of many.
    catch_unwind(AssertUnwindSafe(|| {
        read_pixels(bytes, (frame.width, frame.height), buffers)
    }))
    .unwrap_or_else(|_| Err(image_broken("the decoder panicked")))
}

fn read_pixels(
    bytes: &[u8],
    dimensions: (u32, u32),
    buffers: &mut Buffers,
) -> Result<(), DecodeError> {
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(image_broken)?;
    if decoder.dimensions() != dimensions {
        return Err(image_broken("the file holds two frames of different size"));
    }
    let (width, height) = dimensions;
    let pixels = width as usize * height as usize;
    let Picture { rgb, .. } = &mut buffers.picture;
    rgb.resize(pixels * 3, 0);
    match decoder.color_type() {
        ColorType::Rgb8 => decoder.read_image(rgb).map_err(image_broken)?,
        ColorType::L8 => {
            buffers.grey.resize(pixels, 0);
            decoder
                .read_image(&mut buffers.grey)
                .map_err(image_broken)?;
            for (rgb, &grey) in rgb.chunks_exact_mut(3).zip(&buffers.grey) {
                rgb.fill(grey);
            }
        }
        other => {
            return Err(image_broken(format!(
                "colour type {other:?} is not supported"
            )));
        }
    }
    buffers.picture.width = width;
    buffers.picture.height = height;
    Ok(())
}

/// BLAKE3 of an image's size and pixels: equal for two files that decode to the same picture. None where the file
/// cannot be read or decoded.
pub fn pixel_hash(path: &Path) -> Option<blake3::Hash> {
    let bytes = std::fs::read(path).ok()?;
    with_picture(&bytes, |picture| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&picture.width.to_le_bytes());
        hasher.update(&picture.height.to_le_bytes());
        hasher.update(&picture.rgb);
        hasher.finalize()
    })
    .ok()
}

/// Name and version of the decoder, for the manifest.
pub fn decoder_version() -> String {
    format!(
        "image {} with zune-jpeg {}",
        locked("image"),
        locked("zune-jpeg")
    )
}

/// The version of a crate in `Cargo.lock`: what this program was really built with.
pub(crate) fn locked(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    lock.split_once(&format!("name = \"{name}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("unknown", |(version, _)| version)
}

#[cfg(test)]
mod tests;
