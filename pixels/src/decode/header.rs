//! What kind of image a file is and how large, by its first bytes: its name is never asked.

use super::error::{DecodeError, Refused};
use crate::jpeg::{self, Frame};
use crate::picture::Format;

/// The most pixels that an image may have: 16 Mi, which is 48 MiB of RGB. The largest of LogoDet-3K has 0.2 Mi.
pub const MAX_PIXELS: u64 = 16 << 20;

/// Sides of a square that are left at least of a picture that is reduced before it is fitted to the square: of two, photographs
/// with hard edges come to 42 dB of what the whole picture gives, of three to 46.
const REST: u64 = 3;

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) width: u32,
    pub(super) height: u32,
    /// A JPEG's.
    frame: Option<Frame>,
}

impl Header {
    /// Reads it without allocating, and refuses what is too large.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError {
                reason: Refused::Empty,
                detail: "the file has no bytes".to_owned(),
            });
        }
        let header = if let Some(header) = png_gif_webp(bytes)? {
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
                frame: Some(frame),
            }
        } else {
            return Err(DecodeError::broken(
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

    pub(super) fn is_jpeg(self) -> bool {
        self.frame.is_some()
    }

    /// How often the sides of a JPEG may be halved that is to become a square of this side: so that [`REST`] times the side is
    /// left, in both directions.
    pub(super) fn halvings(self, side: u32) -> u32 {
        let least = u64::from(self.width.min(self.height));
        let enough = |n: &u32| least >= (REST * u64::from(side)) << n;
        match self.frame {
            Some(frame) if frame.by_halves => (1..=2).rev().find(enough).unwrap_or(0),
            _ => 0,
        }
    }

    /// The most bytes that decoding takes, about.
    pub(super) fn memory(self, halvings: u32) -> u64 {
        let Some(frame) = self.frame else {
            // Sixteen bits in four channels, three planes, and what the library needs.
            return self.pixels() * 25 / 2;
        };
        let reduced = self.pixels() >> (2 * halvings);
        let samples = match halvings {
            0 => frame.samples,
            _ => frame.samples.min(u64::from(frame.components) * reduced),
        };
        let picture = 3 * reduced;
        match frame.progressive {
            // The coefficients, of two bytes and a little, are gone before there is a picture.
            true => samples + picture.max(frame.samples * 9 / 4),
            false => samples + picture,
        }
    }

    pub(super) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// Format and size, by the first bytes; none for a file that is none of the three.
fn png_gif_webp(bytes: &[u8]) -> Result<Option<Header>, DecodeError> {
    let short = || DecodeError::truncated(format!("the file ends after {} bytes", bytes.len()));
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
                return Err(DecodeError::broken(
                    "a PNG that does not begin with its header",
                ));
            }
            (Format::Png, big(16)?, big(20)?)
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => {
            (Format::Gif, little(6, 2)?, little(8, 2)?)
        }
        [b'R', b'I', b'F', b'F', ..] if bytes.get(8..12) == Some(b"WEBP") => {
            let said = u64::from(little(4, 4)?) + 8;
            if (bytes.len() as u64) < said {
                return Err(DecodeError::truncated(format!(
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
                _ => {
                    return Err(DecodeError::broken(
                        "a WebP that does not begin with an image",
                    ));
                }
            };
            (Format::Webp, width, height)
        }
        _ => return Ok(None),
    };
    if width == 0 || height == 0 {
        return Err(DecodeError::broken(format!(
            "the image is {width} × {height} pixels"
        )));
    }
    Ok(Some(Header {
        format,
        width,
        height,
        frame: None,
    }))
}
