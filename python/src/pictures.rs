//! Pictures as Python has them: paths, bytes of image files, arrays and PIL's.

use std::borrow::Cow;
use std::path::PathBuf;

use anyhow::Result;
use logodex_recognizer::Model;
use logodex_recognizer::picture::{Square, square};
use numpy::{PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use rayon::prelude::*;

use crate::errors::{Unusable, usage};

/// Pictures that are decoded at once, before the model sees them: what they hold is bounded by it.
const TOGETHER: usize = 128;

/// A picture that is meant.
pub struct Picture {
    /// As a person knows it.
    pub name: String,
    pub source: Source,
    /// The part that is meant, `[x0, y0, x1, y1)`, pixels; none for all of it.
    pub bbox: Option<[u32; 4]>,
}

/// Where a picture's bytes are.
pub enum Source {
    File(PathBuf),
    /// An image file's bytes; of an array those of a PNG of its pixels, which decodes to them.
    Bytes(Vec<u8>),
}

/// The picture at `place` of those given.
pub fn picture(
    given: &Bound<'_, PyAny>,
    place: usize,
    bbox: Option<[u32; 4]>,
) -> PyResult<Picture> {
    let (name, source) = match given.cast::<PyBytes>() {
        Ok(bytes) => {
            let bytes = bytes.as_bytes().to_vec();
            (format!("picture {place} (bytes)"), Source::Bytes(bytes))
        }
        Err(_) if given.is_instance_of::<PyString>() || given.hasattr("__fspath__")? => {
            let path: PathBuf = given.extract()?;
            (path.display().to_string(), Source::File(path))
        }
        Err(_) => {
            let name = format!("picture {place} ({})", given.get_type().name()?);
            let bytes = of_pixels(given, &name)?;
            (name, Source::Bytes(bytes))
        }
    };
    Ok(Picture { name, source, bbox })
}

/// A PNG of an array's pixels, or of a PIL picture's.
fn of_pixels(given: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<u8>> {
    let py = given.py();
    let given = match given.hasattr("mode")? && given.hasattr("convert")? {
        false => given.clone(),
        true => match given.getattr("mode")?.extract::<String>()?.as_str() {
            "L" | "RGB" | "RGBA" => given.clone(),
            "LA" | "PA" | "P" => given.call_method1("convert", ("RGBA",))?,
            _ => given.call_method1("convert", ("RGB",))?,
        },
    };
    let refused = |what: String| {
        usage(format!(
            "{name}: a picture is a path, bytes of an image file, a PIL picture, or an array uint8 [height, width] or [height, width, 3 or 4], not {what}"
        ))
    };
    let array = py
        .import("numpy")?
        .call_method1("ascontiguousarray", (&given,))?;
    let said = || -> PyResult<String> {
        Ok(format!(
            "{} {}",
            array.getattr("dtype")?,
            array.getattr("shape")?
        ))
    };
    let Ok(pixels) = array.cast::<PyArrayDyn<u8>>() else {
        return Err(refused(said()?));
    };
    let pixels = pixels.readonly();
    let (color, height, width) = match *pixels.as_array().shape() {
        [height, width] => (png::ColorType::Grayscale, height, width),
        [height, width, 3] => (png::ColorType::Rgb, height, width),
        [height, width, 4] => (png::ColorType::Rgba, height, width),
        _ => return Err(refused(said()?)),
    };
    let written = pixels.as_slice().map_err(|error| error.to_string());
    let written = written.and_then(|pixels| {
        let size = (u32::try_from(width), u32::try_from(height));
        let (Ok(width), Ok(height)) = size else {
            return Err("it is too large".to_owned());
        };
        png(pixels, color, width, height).map_err(|error| error.to_string())
    });
    written.map_err(|error| refused(format!("{}: {error}", said().unwrap_or_default())))
}

fn png(
    pixels: &[u8],
    color: png::ColorType,
    width: u32,
    height: u32,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Each picture's square and embedding of length one, in their order.
///
/// # Errors
/// [`Unusable`] for the first picture that cannot be used; the model fails.
pub fn embed(model: &Model, pictures: &[Picture]) -> Result<Vec<(Square, Vec<f32>)>> {
    let how = &model.metadata().preprocessing;
    let mut all = Vec::with_capacity(pictures.len());
    for batch in pictures.chunks(TOGETHER) {
        let squares = batch.par_iter().map(|picture| {
            let bytes = match &picture.source {
                Source::File(path) => {
                    let read = std::fs::read(path);
                    Cow::Owned(read.map_err(|error| picture.unusable(&error))?)
                }
                Source::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
            };
            square(&bytes, picture.bbox, how).map_err(|error| picture.unusable(&error))
        });
        let squares: Vec<Square> = squares.collect::<Result<_, Unusable>>()?;
        let pixels: Vec<u8> = squares
            .iter()
            .flat_map(|s| s.pixels.iter().copied())
            .collect();
        let embeddings = model.embed(&pixels)?;
        let embeddings = embeddings.chunks_exact(model.dim()).map(<[f32]>::to_vec);
        all.extend(squares.into_iter().zip(embeddings));
    }
    Ok(all)
}

impl Picture {
    fn unusable(&self, error: &dyn std::error::Error) -> Unusable {
        Unusable {
            path: match &self.source {
                Source::File(path) => Some(path.clone()),
                Source::Bytes(_) => None,
            },
            said: format!("{}: {error}", self.name),
        }
    }
}
