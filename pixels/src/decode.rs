//! Image bytes → a [`Picture`] of RGB pixels.
//!
//! The content says what a file is, never its name: JPEG, or a PNG, GIF or WebP that is named `.jpg`. JPEG is decoded by
//! this crate, to the bit as libjpeg does, or refused; the others by the `image` crate.
//!
//! EXIF orientation is not applied: boxes are in stored pixels, and no file of LogoDet-3K carries one.
//!
//! Memory: a picture beyond [`MAX_PIXELS`] is refused by its header. One that takes at most 16 MiB is decoded in buffers
//! that its thread keeps. All larger ones share [`SHARED_BYTES`], whatever the number of threads: each waits until there is
//! room for it, and its buffers are freed after it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dc_image::DcImage;
use crate::jpeg::{self, Samples};
use crate::perceptual_hash;
use crate::picture::Picture;
use crate::quality::{self, Quality, quality};
use header::Header;
use room::Room;

pub use error::{DecodeError, Refused};
pub use header::MAX_PIXELS;
pub use room::SHARED_BYTES;
pub use version::decoder_version;

mod error;
mod header;
mod image_crate;
mod room;
mod version;

/// What a thread keeps from one image to the next.
#[derive(Default)]
struct Buffers {
    picture: Picture,
    /// The components of a JPEG.
    samples: Samples,
    /// Pixels as a library gives them.
    raw: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Decodes an image into a picture of its own. Grey, CMYK, palette and 16-bit images become RGB of 8 bits; what is
/// transparent shows white.
///
/// ```
/// use logodex_pixels::{DecodeError, Format, Refused, decode, encode};
///
/// let jpeg = encode(&[200; 16 * 16 * 3], 16, 90)?;
/// let picture = decode(&jpeg)?;
/// assert_eq!((picture.width, picture.height, picture.format), (16, 16, Format::Jpeg));
/// assert_eq!(picture.row(3).next(), Some([200; 3]));
///
/// // No row is ever made up: half a file is an error, not half a picture.
/// let error: DecodeError = decode(&jpeg[..jpeg.len() / 2]).unwrap_err();
/// assert_eq!(error.reason, Refused::Truncated);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DecodeError`]: empty, truncated, broken, or more than [`MAX_PIXELS`] as told by the header, before anything is
/// allocated.
pub fn decode(bytes: &[u8]) -> Result<Picture, DecodeError> {
    with_picture(bytes, Picture::clone)
}

/// As [`decode`], into a buffer that the thread keeps, which is shown to `look`: nothing is allocated for an image no
/// larger than those before it, but the coefficients of a progressive JPEG.
///
/// ```
/// use logodex_pixels::{encode, with_picture};
///
/// let jpeg = encode(&[200; 16 * 16 * 3], 16, 90)?;
/// let mean = with_picture(&jpeg, |picture| {
///     let red = picture.plane(0);
///     red.iter().map(|&value| u64::from(value)).sum::<u64>() / red.len() as u64
/// })?;
/// assert_eq!(mean, 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`decode`].
///
/// # Panics
/// If `look` itself decodes: the thread has one such buffer.
pub fn with_picture<R>(bytes: &[u8], look: impl FnOnce(&Picture) -> R) -> Result<R, DecodeError> {
    with_reduced(bytes, u32::MAX, look)
}

/// As [`with_picture`], for a picture that is to be fitted to a square of `side` pixels as a whole: a JPEG much larger than
/// that is decoded at a half or a quarter of its size, so that three times the side is left at least. What
/// [`resize_into`](crate::resize_into) makes of it has a PSNR of 45 dB to what it makes of the whole; a crop is given in
/// pixels of the image all the same.
///
/// ```
/// use logodex_pixels::{Crop, Fit, encode, resize_into, with_reduced};
///
/// let jpeg = encode(&[200; 200 * 200 * 3], 200, 90)?;
/// let mut square = [0; 16 * 16 * 3];
/// with_reduced(&jpeg, 16, |picture| {
///     assert_eq!((picture.width, picture.stored()), (200, (50, 50)));
///     resize_into(picture, Crop::whole(picture), Fit::Squash, 16, &mut square)
/// })??;
/// assert_eq!(square, [200; 16 * 16 * 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`decode`].
///
/// # Panics
/// If `look` itself decodes: the thread has one such buffer.
pub fn with_reduced<R>(
    bytes: &[u8],
    side: u32,
    look: impl FnOnce(&Picture) -> R,
) -> Result<R, DecodeError> {
    BUFFERS.with_borrow_mut(|buffers| {
        let header = guarded(|| Header::read(bytes))?;
        let halvings = header.halvings(side);
        let room = Room::wait_for(header.memory(halvings));
        let decoded = guarded(|| read(bytes, header, halvings, buffers));
        let seen = decoded.map(|()| look(&buffers.picture));
        if room.is_some() {
            *buffers = Buffers::default();
        }
        seen
    })
}

/// Decodes an image that must be a square of `side` pixels into `out`, `[side, side, 3]`, without allocating: a row as
/// [`encode`](crate::encode()) wrote it.
///
/// ```
/// use logodex_pixels::{decode_into, encode};
///
/// let jpeg = encode(&[200; 16 * 16 * 3], 16, 90)?;
/// let mut row = [0; 16 * 16 * 3];
/// decode_into(&jpeg, 16, &mut row)?;
/// assert_eq!(row, [200; 16 * 16 * 3]);
/// assert!(decode_into(&jpeg, 8, &mut [0; 8 * 8 * 3]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`decode`]; and [`Refused::Broken`] for a picture of another size, by its header.
///
/// # Panics
/// If `out` is no square of `side` pixels.
pub fn decode_into(bytes: &[u8], side: u32, out: &mut [u8]) -> Result<(), DecodeError> {
    let header = guarded(|| Header::read(bytes))?;
    if (header.width, header.height) != (side, side) {
        return Err(DecodeError::broken(format!(
            "{} × {} pixels, not {side} × {side}",
            header.width, header.height
        )));
    }
    with_picture(bytes, |picture| picture.write_rgb(out))
}

/// What is known of an image file without keeping its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// The picture's perceptual hash: see [`crate::phash`].
    pub phash: u64,
    /// What tells a poor picture, where it was asked for: [`look_closely`].
    pub quality: Option<Quality>,
}

/// Looks at an image file: is it whole, how large is it, what does it look like? A JPEG is read to its end for it and not
/// decoded: its hash is that of its DC coefficients. What passes here decodes.
///
/// # Errors
/// As [`decode`].
pub fn look(bytes: &[u8]) -> Result<Seen, DecodeError> {
    let header = guarded(|| Header::read(bytes))?;
    if header.is_jpeg() {
        return guarded(|| Ok(seen(header, &jpeg::walk(bytes)?, None)));
    }
    with_picture(bytes, |picture| seen(header, &DcImage::of(picture), None))
}

/// As [`look`], with the picture's [`Quality`]: that of the whole picture where its longer side has at most 384 pixels, and else
/// of an eighth of it, which a JPEG tells without being decoded.
///
/// # Errors
/// As [`decode`].
pub fn look_closely(bytes: &[u8]) -> Result<Seen, DecodeError> {
    let header = guarded(|| Header::read(bytes))?;
    let whole = header.width.max(header.height) <= quality::WHOLE_UP_TO;
    let of_picture = |picture: &Picture| match whole {
        true => quality(picture),
        false => quality(&quality::eighth(picture)),
    };
    if !header.is_jpeg() {
        return with_picture(bytes, |picture| {
            seen(header, &DcImage::of(picture), Some(of_picture(picture)))
        });
    }
    if !whole {
        let (means, picture) = guarded(|| Ok(jpeg::walk_in_color(bytes)?))?;
        if let Some(picture) = picture {
            return Ok(seen(header, &means, Some(quality(&picture))));
        }
    }
    let seen = look(bytes)?;
    let quality = with_picture(bytes, of_picture)?;
    Ok(Seen {
        quality: Some(quality),
        ..seen
    })
}

fn seen(header: Header, means: &DcImage, quality: Option<Quality>) -> Seen {
    Seen {
        width: header.width,
        height: header.height,
        phash: perceptual_hash::of_dc_image(means),
        quality,
    }
}

/// BLAKE3 of an image's size and pixels: equal for two files that decode to the same picture.
///
/// # Errors
/// As [`decode`].
pub fn pixel_hash(bytes: &[u8]) -> Result<blake3::Hash, DecodeError> {
    with_picture(bytes, |picture| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&picture.width.to_le_bytes());
        hasher.update(&picture.height.to_le_bytes());
        (0..3).for_each(|color| {
            hasher.update(picture.plane(color));
        });
        hasher.finalize()
    })
}

/// Does it, even if it panics: one hostile file must not end a build of many.
fn guarded<T>(work: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(DecodeError::broken("the decoder panicked")))
}

fn read(
    bytes: &[u8],
    header: Header,
    halvings: u32,
    buffers: &mut Buffers,
) -> Result<(), DecodeError> {
    let Header {
        format,
        width,
        height,
        ..
    } = header;
    let Buffers {
        picture,
        samples,
        raw,
    } = buffers;
    if header.is_jpeg() {
        // Before there is a picture, a progressive file's coefficients come and go.
        jpeg::decode(bytes, halvings, samples)?;
        picture.reset(format, width, height, halvings);
        samples.to_rgb(picture.stored().0, picture.planes_mut());
        return Ok(());
    }
    picture.reset(format, width, height, 0);
    image_crate::read_png_gif_webp(bytes, header, raw, picture)
}

#[cfg(test)]
mod tests;
