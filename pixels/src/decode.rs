//! Image bytes → RGB pixels: the only door to `image`, which decodes what [`crate::jpeg`] does not. What is done with
//! the pixels is `resize`'s.
//!
//! The content says what a file is, never its name: JPEG, or a PNG, GIF or WebP that is named `.jpg` ([`misnamed`]). The
//! JPEG decoder behind `image` forgives what it should not: it paints missing rows grey and succeeds. So every JPEG
//! passes [`crate::jpeg`], which reads all of its entropy-coded data, and decodes the common kinds in the same pass.
//!
//! EXIF orientation is not applied: boxes are in stored pixels, and no file of LogoDet-3K carries one.
//!
//! Memory: a picture beyond [`MAX_PIXELS`] is refused by its header. One beyond [`LARGE_PIXELS`] is decoded alone,
//! whatever the number of threads, and its buffers are freed after it: at most about 200 MiB. Any other costs its thread
//! 16 MiB at most.

use std::cell::RefCell;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use crate::{Format, Refused};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ColorType, ExtendedColorType, ImageDecoder};

use crate::jpeg::{self, Eighth, Samples};
use crate::perception;

pub use picture::Picture;

mod misnamed;
mod picture;

/// The most pixels that an image may have: 16 Mi, which is 48 MiB of RGB. The largest of LogoDet-3K has 0.2 Mi.
pub const MAX_PIXELS: u64 = 16 << 20;
/// Images of more pixels than this are decoded one at a time: 1 Mi.
pub const LARGE_PIXELS: u64 = 1 << 20;

/// Why an image was refused, in the words of `rejects.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The reason: one of the four `Image*` reasons that a file's content can have.
    pub reason: Refused,
    /// What was found.
    pub detail: String,
}

impl From<jpeg::Defect> for DecodeError {
    fn from(defect: jpeg::Defect) -> Self {
        let reason = match defect {
            jpeg::Defect::Truncated(_) => Refused::Truncated,
            jpeg::Defect::Broken(_) => Refused::Broken,
        };
        Self {
            reason,
            detail: defect.to_string(),
        }
    }
}

fn image_broken(detail: impl std::fmt::Display) -> DecodeError {
    DecodeError {
        reason: Refused::Broken,
        detail: detail.to_string(),
    }
}

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

/// Held while a large picture is in memory.
static LARGE: Mutex<()> = Mutex::new(());

/// Decodes an image into a buffer that the thread keeps, and shows it to `look`. Grey, CMYK, palette and 16-bit images
/// become RGB of 8 bits; what is transparent shows white.
///
/// # Errors
/// [`DecodeError`]: empty, truncated, broken, or more than [`MAX_PIXELS`] as told by the header, before anything is
/// allocated.
pub fn with_picture<R>(bytes: &[u8], look: impl FnOnce(&Picture) -> R) -> Result<R, DecodeError> {
    with_decoded(bytes, false, look)
}

fn with_decoded<R>(
    bytes: &[u8],
    whole: bool,
    look: impl FnOnce(&Picture) -> R,
) -> Result<R, DecodeError> {
    BUFFERS.with_borrow_mut(|buffers| {
        // A panic of a decoder on one hostile file must not end a build of many.
        let header = guarded(|| Header::read(bytes))?;
        let alone = (header.pixels() > LARGE_PIXELS).then(|| {
            LARGE
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        });
        let decoded = guarded(|| decode_into(bytes, header, whole, buffers));
        let seen = decoded.map(|()| look(&buffers.picture));
        if alone.is_some() {
            *buffers = Buffers::default();
        }
        seen
    })
}

/// Decodes an image into a picture of its own. See [`with_picture`].
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
    let header = guarded(|| Header::read(bytes))?;
    let seen = |picture: &Eighth| Seen {
        width: header.width,
        height: header.height,
        phash: perception::phash(picture),
    };
    if header.is_jpeg()
        && let Some(eighth) = guarded(|| Ok(jpeg::walk(bytes)?))?.eighth
    {
        return Ok(seen(&eighth));
    }
    with_picture(bytes, |picture| seen(&perception::eighth(picture)))
}

/// As [`with_picture`], for bytes that [`look`] has found whole: what is not decoded while it is walked is not walked a second time.
///
/// # Errors
/// What only the decoder itself can find.
pub fn with_seen_picture<R>(
    bytes: &[u8],
    look: impl FnOnce(&Picture) -> R,
) -> Result<R, DecodeError> {
    // Only the walk can tell that nothing but the closing marker is missing.
    with_decoded(bytes, bytes.ends_with(&EOI), look)
}

/// The marker that closes a JPEG.
const EOI: [u8; 2] = [0xff, 0xd9];

fn guarded<T>(work: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(image_broken("the decoder panicked")))
}

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy)]
struct Header {
    format: Format,
    width: u32,
    height: u32,
}

impl Header {
    /// Reads it without allocating, and refuses what is too large.
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError {
                reason: Refused::Empty,
                detail: "the file has no bytes".to_owned(),
            });
        }
        let header = if let Some(header) = misnamed::header(bytes)? {
            header
        } else if bytes[0] == 0xff {
            let frame = jpeg::frame(bytes)?;
            let format = match frame.components {
                1 => Format::JpegGrey,
                4 => Format::JpegCmyk,
                _ => Format::Jpeg,
            };
            Self {
                format,
                width: frame.width,
                height: frame.height,
            }
        } else {
            return Err(image_broken(
                "the file does not begin as a JPEG, PNG, GIF or WebP does",
            ));
        };
        if header.pixels() > MAX_PIXELS {
            return Err(DecodeError {
                reason: Refused::TooLarge,
                detail: format!(
                    "{} × {} pixels; at most {MAX_PIXELS} are decoded",
                    header.width, header.height
                ),
            });
        }
        Ok(header)
    }

    fn is_jpeg(self) -> bool {
        matches!(
            self.format,
            Format::Jpeg | Format::JpegGrey | Format::JpegCmyk
        )
    }

    fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

fn decode_into(
    bytes: &[u8],
    header: Header,
    whole: bool,
    buffers: &mut Buffers,
) -> Result<(), DecodeError> {
    (buffers.picture).reset(header.format, header.width, header.height);
    match header.format {
        Format::Jpeg | Format::JpegGrey | Format::JpegCmyk => read_jpeg(bytes, whole, buffers),
        Format::Png | Format::Gif | Format::Webp => {
            misnamed::read(bytes, header, &mut buffers.raw, &mut buffers.picture)
        }
    }
}

fn read_jpeg(bytes: &[u8], whole: bool, buffers: &mut Buffers) -> Result<(), DecodeError> {
    let walked = jpeg::decode(bytes, whole, &mut buffers.samples)?;
    if walked.decoded {
        buffers.picture.set_samples(&buffers.samples);
        return Ok(());
    }
    // Without the closing marker the library would drop the last row, although it is there.
    let closed = (!walked.closed).then(|| [bytes, &EOI].concat());
    let decoder = JpegDecoder::new(Cursor::new(closed.as_deref().unwrap_or(bytes)));
    let decoder = decoder.map_err(image_broken)?;
    let Buffers { picture, raw, .. } = buffers;
    if decoder.dimensions() != (picture.width, picture.height) {
        return Err(image_broken("the file holds two frames of different size"));
    }
    let color = decoder.color_type();
    raw.resize(decoder.total_bytes() as usize, 0);
    decoder.read_image(raw).map_err(image_broken)?;
    match color {
        ColorType::Rgb8 => picture.set_rgb(raw),
        ColorType::L8 => picture.set_each(raw.iter().map(|&grey| [grey; 3])),
        other => {
            return Err(image_broken(format!(
                "colour type {other:?} is not supported"
            )));
        }
    }
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
        (0..3).for_each(|color| {
            hasher.update(picture.plane(color));
        });
        hasher.finalize()
    })
    .ok()
}

/// A row's pixels, `[side, side, 3]`, as a JPEG without chroma subsampling.
///
/// # Errors
/// Pixels of another length: a mistake of the caller.
pub fn encode(pixels: &[u8], side: u32, quality: u8) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode(
        pixels,
        side,
        side,
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

/// Name and version of the encoder of JPEG shards, for the manifest.
pub fn encoder_version() -> String {
    format!("image {}, 4:4:4", locked("image"))
}

/// To be raised with every change to [`crate::jpeg`] that changes a pixel.
const REVISION: u32 = 1;

/// Names and versions of the decoders, for the manifest.
pub fn decoder_version() -> String {
    format!(
        "logodex JPEG {REVISION} (sequential, as libjpeg's islow), image {} with zune-jpeg {} and image-webp {}",
        locked("image"),
        locked("zune-jpeg"),
        locked("image-webp")
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
