//! From an image file's bytes to squares of pixels, without reading or writing a file.
//!
//! [`decode`] turns bytes into a [`Picture`]: JPEG by this crate's own decoder, with libjpeg's arithmetic, PNG, GIF and
//! WebP by `image`. [`resize`] crops a picture and fits it to a square as Pillow does. [`perception`] is its perceptual
//! hash.

pub mod decode;
pub mod jpeg;
pub mod perception;
pub mod resize;
mod twice;

pub use decode::{DecodeError, Picture, decode, with_picture};
pub use resize::{Crop, resize_into};

/// How an image file is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JPEG in colour.
    #[default]
    Jpeg,
    /// JPEG of one component.
    JpegGrey,
    /// JPEG of four components: CMYK or YCCK.
    JpegCmyk,
    /// PNG of any depth.
    Png,
    /// GIF, of which the first frame is taken.
    Gif,
    /// WebP; of an animation the first frame is taken.
    Webp,
}

/// How a region of any shape becomes a square. All three are bilinear with antialiasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Both sides scaled to the square's, whatever the aspect (torchvision's `Resize((side, side))`).
    Squash,
    /// The longer side scaled to the square's, the rest filled with the ImageNet mean colour (124, 116, 104), which
    /// normalisation turns into about 0.
    Letterbox,
    /// The largest centred square of the region (torchvision's `Resize(side)` and `CenterCrop(side)`).
    Cover,
}

/// Why a file's content is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It has no bytes.
    Empty,
    /// It ends before its last row.
    Truncated,
    /// It is no image that can be decoded, or its data are corrupt.
    Broken,
    /// It has more pixels than the decoder is allowed.
    TooLarge,
}
