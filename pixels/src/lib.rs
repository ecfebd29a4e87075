//! From the bytes of an image file to squares of pixels for a network, the same on every machine, without reading or
//! writing a file.
//!
//! - [`decode()`] turns bytes into a [`Picture`] or says why not: an image that ends early is an error, never a picture
//!   with grey rows. JPEGs are decoded with libjpeg's arithmetic, so that their pixels are Pillow's bit for bit; PNG, GIF
//!   and WebP by the `image` crate. [`with_picture`] does so in buffers that the thread keeps, [`with_reduced`] at no larger
//!   size than a square needs.
//! - [`resize_into`] takes a [`Crop`] of a picture and fits it to a square, as Pillow's antialiased bilinear filter does.
//! - [`encode()`] writes a square as JPEG and [`decode_into`] reads it back.
//! - [`phash`] is a picture's perceptual hash: pictures that look alike have hashes that differ in few bits. [`look`]
//!   finds it, with the size, of a file that need not be decoded.
//! - [`quality()`] is what tells a dark, light, blurry, grey or empty picture; [`look_closely`] finds it in the same pass.
//!
//! All arithmetic is on integers, and the code that uses AVX2 finds the bits that the rest finds: pixels and hashes depend
//! on no processor. What could change them has a version: [`decoder_version`], [`resizer_version`], [`encoder_version`].
//!
//! # Example
//!
//! From a file's bytes to the square of an object:
//!
//! ```
//! use logodex_pixels::{Crop, Fit, Format, Picture, decode, encode, phash, resize_into};
//!
//! # let patch = |i: u32| ((i % 300 / 30 * 7 + i / 300 / 30 * 13) * 37) as u8;
//! # let patches: Vec<u8> = (0..300 * 300).flat_map(|i| [patch(i), !patch(i), patch(i)]).collect();
//! # let bytes = encode(&patches, 300, 90)?;
//! // let bytes = std::fs::read("logo.jpg")?;
//! let picture: Picture = decode(&bytes)?;
//! assert_eq!((picture.width, picture.height, picture.format), (300, 300, Format::Jpeg));
//!
//! // The object's box, with a tenth of its size around it, fitted to 64 × 64 pixels.
//! let crop = Crop::with_context([40, 60, 240, 160], 0.1, &picture);
//! let mut square = vec![0; 64 * 64 * 3];
//! resize_into(&picture, crop, Fit::Letterbox, 64, &mut square)?;
//!
//! // Coded once more at low quality it looks the same: hashes differ in a few bits at most.
//! let again = decode(&encode(&picture.to_rgb(), 300, 60)?)?;
//! assert!((phash(&picture) ^ phash(&again)).count_ones() <= 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod decode;
pub mod encode;
pub mod perceptual_hash;
pub mod picture;
pub mod quality;
pub mod resize;

mod dc_image;
mod jpeg;
mod simd;

pub use decode::{
    DecodeError, Refused, Seen, decode, decode_into, decoder_version, look, look_closely,
    pixel_hash, with_picture, with_reduced,
};
pub use encode::{EncodeError, encode, encoder_version};
pub use perceptual_hash::phash;
pub use picture::{Format, Picture};
pub use quality::{Quality, quality};
pub use resize::{Crop, Fit, ResizeError, resize_into, resizer_version, shown};
