//! From an image's bytes to the square that a model takes: as the pipeline makes a dataset's rows, to the bit.

use logodex_pixels::{
    Crop, DecodeError, EncodeError, Fit, Format, Picture, ResizeError, decode_into, encode, look,
    phash, resize_into, shown, with_reduced,
};
use logodex_schemas::dataset::{self, Encoding};
use logodex_schemas::onnx::Preprocessing;

/// A part of a picture, as a model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Square {
    /// `[side, side, 3]`, RGB.
    pub pixels: Vec<u8>,
    /// The part shown, source pixels.
    pub crop: Crop,
    /// Perceptual hash of the whole picture: those of pictures that look the same differ in three bits at most.
    pub phash: u64,
    /// BLAKE3 of the image file's bytes.
    pub blake3: blake3::Hash,
}

/// Why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Its bytes are no whole image.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// The box does not lie in it.
    #[error(
        "the box {bbox:?} does not lie in the picture of {width} × {height} pixels; a box is x0,y0,x1,y1 with x0 < x1 ≤ width and y0 < y1 ≤ height"
    )]
    Box {
        /// As it was given.
        bbox: [u32; 4],
        /// The picture's width, pixels.
        width: u32,
        /// The picture's height, pixels.
        height: u32,
    },
    /// A mistake of ours.
    #[error("{0}")]
    Resize(#[from] ResizeError),
    /// A mistake of ours.
    #[error("{0}")]
    Encode(#[from] EncodeError),
}

/// The square of a box `[x0, y0, x1, y1)` in pixels, with the context that the model's objects had, or of the whole picture.
///
/// # Errors
/// [`PictureError`].
pub fn square(
    bytes: &[u8],
    bbox: Option<[u32; 4]>,
    how: &Preprocessing,
) -> Result<Square, PictureError> {
    let [square] = squares(bytes, &[bbox], how)?
        .try_into()
        .expect("one box, one square");
    Ok(square)
}

/// As [`square`], for several parts of one picture, which is decoded once.
///
/// # Errors
/// [`PictureError`], of the first box that does not lie in the picture.
pub fn squares(
    bytes: &[u8],
    boxes: &[Option<[u32; 4]>],
    how: &Preprocessing,
) -> Result<Vec<Square>, PictureError> {
    // As the pipeline: what is to be cropped is decoded whole, and so is a picture of a dataset that has crops, too.
    let reduced = match how.region.objects() || boxes.iter().any(Option::is_some) {
        true => u32::MAX,
        false => how.side,
    };
    let blake3 = blake3::hash(bytes);
    let phash = look(bytes)?.phash;
    let cut = |picture: &Picture| {
        boxes
            .iter()
            .map(|&bbox| {
                let crop = crop(picture, bbox, how.context)?;
                let mut pixels = vec![0; how.side as usize * how.side as usize * 3];
                resize_into(picture, crop, fit(how.fit), how.side, &mut pixels)?;
                Ok((pixels, shown(crop, fit(how.fit))))
            })
            .collect::<Result<Vec<_>, PictureError>>()
    };
    with_reduced(bytes, reduced, cut)??
        .into_iter()
        .map(|(mut pixels, crop)| {
            if how.encoding == Encoding::Jpeg {
                let jpeg = encode(&pixels, how.side, how.jpeg_quality)?;
                decode_into(&jpeg, how.side, &mut pixels)?;
            }
            Ok(Square {
                crop,
                phash,
                blake3,
                pixels,
            })
        })
        .collect()
}

/// The perceptual hash of a square's pixels `[side, side, 3]`.
pub fn look_of(pixels: &[u8], side: u32) -> u64 {
    phash(&Picture::from_rgb(Format::Png, side, side, pixels))
}

fn crop(picture: &Picture, bbox: Option<[u32; 4]>, context: f32) -> Result<Crop, PictureError> {
    let Some(bbox) = bbox else {
        return Ok(Crop::whole(picture));
    };
    let (width, height) = (picture.width, picture.height);
    let [x0, y0, x1, y1] = bbox;
    if x0 >= x1 || y0 >= y1 || x1 > width || y1 > height {
        return Err(PictureError::Box {
            bbox,
            width,
            height,
        });
    }
    Ok(Crop::with_context(bbox, context, picture))
}

/// The metadata's word in the resizer's.
fn fit(fit: dataset::Fit) -> Fit {
    match fit {
        dataset::Fit::Squash => Fit::Squash,
        dataset::Fit::Letterbox => Fit::Letterbox,
        dataset::Fit::Cover => Fit::Cover,
    }
}
