//! Where in a picture logos are, by anyone's detector that was exported to ONNX.
//!
//! What is understood: one input of pictures, `[1, 3, H, W]`, `[3, H, W]` or `[1, H, W, 3]`, RGB, of bytes or of numbers from 0 to
//! 1 (a graph that normalises does so itself), H and W free or equal; beside it, if any, an input of their sizes, as RT-DETR's
//! `orig_target_sizes`. Outputs `boxes` `[N, 4]` (left, top, right, bottom, in pixels of the input or as parts of it) and `scores`
//! `[N]` or `[N, C]`, with or without a first dimension of 1; or one output `[N, 6]` of box, score and label. Labels are not asked
//! for: what a logo is called is the gallery's matter.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use logodex_inference::model::session;
use logodex_pixels::{Crop, Fit, Picture, resize_into};
use logodex_program::usage;
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::tiles::{Area, suppress};

/// The side at which a picture is shown to a detector that takes any, pixels.
pub const SIDE: u32 = 640;
/// Findings of which more than this part of both together is common are one.
const OVERLAP: f64 = 0.5;

/// A detector. It can be shared between threads; they take turns.
pub struct Detector {
    session: Mutex<Session>,
    input: Input,
    outputs: Outputs,
}

/// How pictures are given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Input {
    name: String,
    /// Whether the colours are the last dimension.
    colors_last: bool,
    /// Whether there is a first dimension of 1.
    batched: bool,
    bytes: bool,
    /// Of the square that pictures are fitted to, pixels.
    side: u32,
    /// The input that takes their size, if there is one.
    sizes: Option<String>,
}

/// Where findings are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outputs {
    Apart { boxes: String, scores: String },
    Together(String),
}

/// A logo that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Where, in pixels of the picture.
    pub area: Area,
    /// The detector's score.
    pub score: f32,
}

impl Detector {
    /// Opens an ONNX file. `side` is that of the square shown to a detector that takes any size; `threads` compute, 0 for one
    /// per core.
    ///
    /// # Errors
    /// [`logodex_program::Failure::Usage`] for what cannot be read, or has other inputs and outputs than those above.
    pub fn open(path: &Path, side: u32, threads: usize) -> Result<Self> {
        let open = || -> Result<Self> {
            let session = session(&std::fs::read(path)?, threads)?;
            let input = input(session.inputs(), side)?;
            let outputs = outputs(session.outputs())?;
            Ok(Self {
                session: Mutex::new(session),
                input,
                outputs,
            })
        };
        open().map_err(|error| {
            usage(format!(
                "{}: not a usable detector: {error:#}",
                path.display()
            ))
        })
    }

    /// The logos in a picture with a score of `least` or more, best first, at most `most`.
    ///
    /// # Errors
    /// What ONNX Runtime reports, or outputs of other shapes than their names promise.
    pub fn find(&self, picture: &Picture, least: f32, most: usize) -> Result<Vec<Found>> {
        let side = self.input.side;
        let mut square = vec![0; side as usize * side as usize * 3];
        resize_into(
            picture,
            Crop::whole(picture),
            Fit::Letterbox,
            side,
            &mut square,
        )?;
        let (boxes, scores) = self.run(&square)?;
        let (boxes, scores): (Vec<_>, Vec<_>) = boxes
            .into_iter()
            .zip(scores)
            .filter(|(bbox, score)| *score >= least && bbox.iter().all(|x| x.is_finite()))
            .unzip();
        // A box of less than a pixel is no finding: such numbers are parts of the side.
        let parts = boxes.iter().flatten().all(|x| x.abs() <= 1.5);
        let unit = if parts { f64::from(side) } else { 1.0 };
        let found: Vec<(Area, f32)> = boxes
            .iter()
            .zip(scores)
            .filter_map(|(bbox, score)| Some((in_picture(bbox, unit, side, picture)?, score)))
            .collect();
        let kept = suppress(&found, OVERLAP, |_, _| false);
        let kept = kept.into_iter().take(most);
        Ok(kept
            .map(|at| Found {
                area: found[at].0,
                score: found[at].1,
            })
            .collect())
    }

    /// Boxes and scores of a square `[side, side, 3]`, as the detector gives them.
    fn run(&self, square: &[u8]) -> Result<(Vec<[f32; 4]>, Vec<f32>)> {
        let Input {
            name,
            colors_last,
            batched,
            bytes,
            side,
            sizes,
        } = &self.input;
        let pixels: Vec<u8> = match colors_last {
            true => square.to_vec(),
            false => (0..3)
                .flat_map(|color| square.iter().skip(color).step_by(3).copied())
                .collect(),
        };
        let side = i64::from(*side);
        let mut shape = match colors_last {
            true => vec![side, side, 3],
            false => vec![3, side, side],
        };
        if *batched {
            shape.insert(0, 1);
        }
        let image: SessionInputValue = match bytes {
            true => Tensor::from_array((shape, pixels))?.into(),
            false => {
                let pixels: Vec<f32> = pixels.iter().map(|x| f32::from(*x) / 255.0).collect();
                Tensor::from_array((shape, pixels))?.into()
            }
        };
        let mut inputs = vec![(name.clone(), image)];
        if let Some(sizes) = sizes {
            let size = Tensor::from_array((vec![1, 2], vec![side, side]))?;
            inputs.push((sizes.clone(), size.into()));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(inputs)?;
        let tensor = |name: &str| -> Result<(Vec<usize>, &[f32])> {
            let output = outputs
                .get(name)
                .with_context(|| format!("the detector gives no {name:?}"))?;
            let (shape, values) = output.try_extract_tensor::<f32>()?;
            let mut shape: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
            if shape.len() > 1 && shape[0] == 1 && shape[1..] != [4] && shape[1..] != [6] {
                shape.remove(0);
            }
            Ok((shape, values))
        };
        match &self.outputs {
            Outputs::Together(name) => {
                let (shape, values) = tensor(name)?;
                ensure!(
                    shape.last() == Some(&6),
                    "{name} is {shape:?}, expected [N, 6]"
                );
                let rows = values.chunks_exact(6);
                Ok(rows
                    .map(|row| ([row[0], row[1], row[2], row[3]], row[4]))
                    .unzip())
            }
            Outputs::Apart { boxes, scores } => {
                let (shape, values) = tensor(boxes)?;
                ensure!(
                    shape.last() == Some(&4),
                    "{boxes} is {shape:?}, expected [N, 4]"
                );
                let found: Vec<[f32; 4]> = values
                    .chunks_exact(4)
                    .map(|row| [row[0], row[1], row[2], row[3]])
                    .collect();
                let (shape, values) = tensor(scores)?;
                let classes = values.len() / found.len().max(1);
                ensure!(
                    classes * found.len() == values.len(),
                    "{scores} is {shape:?} for {} boxes",
                    found.len()
                );
                let best = |row: &[f32]| row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let scores = values.chunks_exact(classes.max(1)).map(best).collect();
                Ok((found, scores))
            }
        }
    }
}

/// From the letterboxed square back into the picture; none for what is empty there.
fn in_picture(bbox: &[f32; 4], unit: f64, side: u32, picture: &Picture) -> Option<Area> {
    let (width, height) = (picture.width, picture.height);
    let longer = f64::from(width.max(height));
    let side = f64::from(side);
    // As `resize_into` lays it out.
    let fitted = |length: u32| (f64::from(length) * side / longer).round().clamp(1.0, side);
    let place = |x: f32, length: u32, round: fn(f64) -> f64| {
        let begin = ((side - fitted(length)) / 2.0).floor();
        let scaled = (f64::from(x) * unit - begin) * f64::from(length) / fitted(length);
        round(scaled).clamp(0.0, f64::from(length)) as u32
    };
    let area = [
        place(bbox[0], width, f64::floor),
        place(bbox[1], height, f64::floor),
        place(bbox[2], width, f64::ceil),
        place(bbox[3], height, f64::ceil),
    ];
    (area[0] < area[2] && area[1] < area[3]).then_some(area)
}

fn input(inputs: &[Outlet], side: u32) -> Result<Input> {
    let mut image = None;
    let mut sizes = None;
    for outlet in inputs {
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
            bail!("its input {:?} is no tensor", outlet.name());
        };
        match ty {
            TensorElementType::Int64 => sizes = Some(outlet.name().to_owned()),
            TensorElementType::Float32 | TensorElementType::Uint8 if image.is_none() => {
                image = Some((
                    outlet.name(),
                    *ty == TensorElementType::Uint8,
                    shape.to_vec(),
                ));
            }
            other => bail!(
                "its input {:?} is of {other:?}; pictures of f32 or u8 are given",
                outlet.name()
            ),
        }
    }
    let (name, bytes, shape) = image.context("it has no input for pictures, of f32 or u8")?;
    let (batched, rest) = match shape.as_slice() {
        [1 | -1, rest @ ..] if rest.len() == 3 => (true, rest),
        rest if rest.len() == 3 => (false, rest),
        other => bail!(
            "its input {name:?} is {other:?}; [1, 3, H, W], [3, H, W] or [1, H, W, 3] is understood"
        ),
    };
    let (colors_last, sides) = match rest {
        [3, height, width] => (false, [*height, *width]),
        [height, width, 3] => (true, [*height, *width]),
        [-1, height, width] => (false, [*height, *width]),
        other => bail!("its input {name:?} has {other:?}, of which none is three colours"),
    };
    let side = match sides {
        [height, width] if height > 0 && height == width => height as u32,
        [height, width] if height > 0 && width > 0 => {
            bail!("its input is {height} × {width}; export it with a square or a free size")
        }
        [-1, known] | [known, -1] if known > 0 => known as u32,
        _ => side,
    };
    Ok(Input {
        name: name.to_owned(),
        colors_last,
        batched,
        bytes,
        side,
        sizes,
    })
}

fn outputs(outputs: &[Outlet]) -> Result<Outputs> {
    let called = |words: &[&str]| {
        let found = outputs.iter().find(|outlet| {
            let name = outlet.name().to_lowercase();
            words.iter().any(|word| name.contains(word))
        });
        found.map(|outlet| outlet.name().to_owned())
    };
    if let (Some(boxes), Some(scores)) = (called(&["box"]), called(&["score", "conf"])) {
        return Ok(Outputs::Apart { boxes, scores });
    }
    if let [one] = outputs
        && let ValueType::Tensor { shape, .. } = one.dtype()
        && shape.last() == Some(&6)
    {
        return Ok(Outputs::Together(one.name().to_owned()));
    }
    let names: Vec<&str> = outputs.iter().map(Outlet::name).collect();
    bail!(
        "its outputs are {names:?}; boxes [N, 4] and scores [N], or one output [N, 6] is understood: export it with its \
         decoding and without raw logits"
    )
}

#[cfg(test)]
mod tests {
    use logodex_pixels::Format;

    use super::*;

    #[test]
    fn boxes_come_back_from_the_letterbox() {
        let picture = Picture::from_rgb(Format::Png, 200, 100, &[0; 200 * 100 * 3]);
        // 64 wide, 32 high, from row 16 on.
        let back = |bbox| in_picture(&bbox, 1.0, 64, &picture);
        assert_eq!(back([0.0, 16.0, 64.0, 48.0]), Some([0, 0, 200, 100]));
        assert_eq!(back([32.0, 32.0, 64.0, 48.0]), Some([100, 50, 200, 100]));
        // What lies in the bars, or is turned about, is nothing.
        assert_eq!(back([0.0, 0.0, 64.0, 16.0]), None);
        assert_eq!(back([40.0, 20.0, 30.0, 40.0]), None);
        let parts = in_picture(&[0.5, 0.5, 1.0, 0.75], 64.0, 64, &picture);
        assert_eq!(parts, Some([100, 50, 200, 100]));
    }
}
