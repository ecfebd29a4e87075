//! Squares of pixels → JPEG, for rows that are stored as such.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// Why pixels cannot be encoded: a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// There are not as many pixels as a square has.
    #[error("{bytes} bytes are no square of {side} RGB pixels a side")]
    NoSquare {
        /// The side that was given.
        side: u32,
        /// The bytes that were given.
        bytes: usize,
    },
    /// The encoder refuses the side.
    #[error("a JPEG of {side} pixels a side: {reason}")]
    Side {
        /// The side that was given.
        side: u32,
        /// The encoder's words.
        reason: String,
    },
}

/// A row's pixels, `[side, side, 3]`, as a JPEG without chroma subsampling; `quality` is 1 to 100.
/// [`decode_into`](crate::decode_into) reads it.
///
/// # Errors
/// [`EncodeError`]: pixels of another length, or a side that a JPEG cannot have (0, or more than 65,535).
pub fn encode(pixels: &[u8], side: u32, quality: u8) -> Result<Vec<u8>, EncodeError> {
    if u64::from(side).pow(2).checked_mul(3) != Some(pixels.len() as u64) {
        let bytes = pixels.len();
        return Err(EncodeError::NoSquare { side, bytes });
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(pixels, side, side, ExtendedColorType::Rgb8)
        .map_err(|error| EncodeError::Side {
            side,
            reason: error.to_string(),
        })?;
    Ok(bytes)
}

/// To be raised with every change that changes a byte, in the library of [`IMAGE`] too.
const REVISION: u32 = 1;

/// The version of the `image` crate, which encodes, as locked when [`REVISION`] was last raised.
const IMAGE: &str = "0.25.10";

/// Name and version of the encoder, for a manifest.
pub fn encoder_version() -> String {
    format!("logodex pixels encoder {REVISION}: JPEG 4:4:4 by image {IMAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_that_of_the_lock_file() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        assert!(lock.contains(&format!("name = \"image\"\nversion = \"{IMAGE}\"\n")));
    }

    #[test]
    fn mistakes_of_the_caller_are_errors() {
        let wrong = encode(&[0; 10], 2, 90);
        assert_eq!(wrong, Err(EncodeError::NoSquare { side: 2, bytes: 10 }));
        assert!(matches!(encode(&[], 0, 90), Err(EncodeError::Side { .. })));
    }
}
