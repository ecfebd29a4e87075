//! What the `image` crate decodes: the PNG, GIF and WebP files that are named `.jpg` in real trees.
//!
//! Sixteen bits become eight by their high byte, as in Pillow. Transparent pixels are laid over white. Of an animation
//! the first frame is taken, on its whole canvas. What each format can tell of a file that is cut: a PNG and a GIF lack
//! pixels, a WebP is shorter than its own header says.

use std::error::Error;
use std::io::{self, Cursor};

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use super::error::DecodeError;
use super::header::Header;
use crate::picture::{Format, Picture};

/// Decodes a PNG, GIF or WebP into a picture that has room for it. `raw` is a buffer, whatever it holds.
pub(super) fn read_png_gif_webp(
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
        return Err(DecodeError::broken("the file states two sizes"));
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
        return Err(DecodeError::broken(format!(
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
            return DecodeError::truncated(error);
        }
        cause = found.source();
    }
    DecodeError::broken(error)
}
