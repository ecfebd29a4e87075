//! PNG, GIF and WebP files that are named `.jpg`: real trees have them, and they are kept.
//!
//! Sixteen bits become eight by their high byte, as in Pillow. Transparent pixels are laid over white. Of an animation
//! the first frame is taken, on its whole canvas. What each format can tell of a file that is cut: a PNG and a GIF lack
//! pixels, a WebP is shorter than its own header says.

use std::error::Error;
use std::io::{self, Cursor};

use crate::{Format, Refused};
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use super::{DecodeError, Header, Picture, image_broken};

/// Format and size, by the first bytes; none for a file that is none of the three.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, DecodeError> {
    let short = || truncated(format!("the file ends after {} bytes", bytes.len()));
    let at = |place: usize, n: usize| bytes.get(place..place + n).ok_or_else(short);
    let little = |place: usize, n: usize| -> Result<u32, DecodeError> {
        Ok(at(place, n)?
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u32::from(byte)))
    };
    let big = |place: usize| -> Result<u32, DecodeError> {
        Ok(at(place, 4)?
            .iter()
            .fold(0, |value, &byte| value << 8 | u32::from(byte)))
    };
    let (format, width, height) = match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => {
            if at(12, 4)? != b"IHDR" {
                return Err(image_broken("a PNG that does not begin with its header"));
            }
            (Format::Png, big(16)?, big(20)?)
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => {
            (Format::Gif, little(6, 2)?, little(8, 2)?)
        }
        [b'R', b'I', b'F', b'F', ..] if bytes.get(8..12) == Some(b"WEBP") => {
            let said = u64::from(little(4, 4)?) + 8;
            if (bytes.len() as u64) < said {
                return Err(truncated(format!(
                    "the file has {} bytes and says that it has {said}",
                    bytes.len()
                )));
            }
            let (width, height) = match at(12, 4)? {
                b"VP8 " => (little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff),
                b"VP8L" => {
                    let packed = little(21, 4)?;
                    ((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1)
                }
                b"VP8X" => (little(24, 3)? + 1, little(27, 3)? + 1),
                _ => return Err(image_broken("a WebP that does not begin with an image")),
            };
            (Format::Webp, width, height)
        }
        _ => return Ok(None),
    };
    if width == 0 || height == 0 {
        return Err(image_broken(format!(
            "the image is {width} × {height} pixels"
        )));
    }
    Ok(Some(Header {
        format,
        width,
        height,
    }))
}

/// Decodes the pixels into a picture that has room for them. `raw` is a buffer, whatever it holds.
pub(super) fn read(
    bytes: &[u8],
    header: Header,
    raw: &mut Vec<u8>,
    picture: &mut Picture,
) -> Result<(), DecodeError> {
    let source = Cursor::new(bytes);
    // What an honest file needs beside the pixels: no compressed profile or oversized frame may claim more.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(header.pixels() * 8 + (8 << 20));
    match header.format {
        Format::Gif => {
            let mut decoder = GifDecoder::new(source).map_err(refusal)?;
            decoder.set_limits(limits).map_err(refusal)?;
            read_with(decoder, header, raw, picture)
        }
        Format::Webp => read_with(
            WebPDecoder::new(source).map_err(refusal)?,
            header,
            raw,
            picture,
        ),
        _ => read_with(
            PngDecoder::with_limits(source, limits).map_err(refusal)?,
            header,
            raw,
            picture,
        ),
    }
}

fn read_with(
    decoder: impl ImageDecoder,
    header: Header,
    raw: &mut Vec<u8>,
    picture: &mut Picture,
) -> Result<(), DecodeError> {
    if decoder.dimensions() != (header.width, header.height) {
        return Err(image_broken("the file states two sizes"));
    }
    let color = decoder.color_type();
    // Zeros, since a decoder may leave a pixel alone: nothing of the last image must shine through.
    raw.clear();
    raw.resize(decoder.total_bytes() as usize, 0);
    decoder.read_image(raw).map_err(refusal)?;
    to_rgb(color, raw, picture)
}

/// Samples of `[height, width, channels]` → RGB of eight bits over white.
fn to_rgb(color: ColorType, raw: &[u8], picture: &mut Picture) -> Result<(), DecodeError> {
    let channels = usize::from(color.channel_count());
    let width = usize::from(color.bytes_per_pixel()) / channels;
    if !(1..=2).contains(&width) {
        return Err(image_broken(format!(
            "colour type {color:?} is not supported"
        )));
    }
    picture.set_each(raw.chunks_exact(width * channels).map(|pixel| {
        let sample = |channel: usize| match width {
            1 => pixel[channel],
            _ => (u16::from_ne_bytes([pixel[2 * channel], pixel[2 * channel + 1]]) >> 8) as u8,
        };
        let (color, alpha) = match channels {
            1 => ([sample(0); 3], 255),
            2 => ([sample(0); 3], sample(1)),
            3 => ([sample(0), sample(1), sample(2)], 255),
            _ => ([sample(0), sample(1), sample(2)], sample(3)),
        };
        color.map(|color| {
            let (color, alpha) = (u32::from(color), u32::from(alpha));
            ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        })
    }));
    Ok(())
}

fn truncated(detail: String) -> DecodeError {
    DecodeError {
        reason: Refused::Truncated,
        detail,
    }
}

/// Tells a file that ends too early from one that is wrong. The libraries have no common way to say so.
fn refusal(error: ImageError) -> DecodeError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        let said = found.to_string().to_lowercase();
        if found
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
            || ["unexpected end", "truncated", "incomplete"]
                .iter()
                .any(|word| said.contains(word))
        {
            return truncated(error.to_string());
        }
        cause = found.source();
    }
    image_broken(error)
}
