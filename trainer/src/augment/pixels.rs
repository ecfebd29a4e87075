//! The transforms for pictures in main memory: one picture after the other, row by row in the cache, where the tensor
//! operations carry the whole batch through memory some eighty times.
//!
//! The arithmetic is that of `tensors`, and a test holds the two together. Loops over a row are written so that the
//! compiler turns them into vector instructions; on x86-64 they are compiled twice, and a processor that has AVX2 runs
//! those. Nothing is fused or reassociated, so both give the same bits, whatever the number of threads.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::mapping::{Axis, Mapping};
use super::params::{Adjustment, AugmentParams, ImageParams, MEAN, STD};

/// Pictures u8 `[B, H, W, 3]` on the CPU to network input fp32 `[B, 3, H, W]`, in channels-last memory. The threads are
/// rayon's.
pub fn prepare(images_u8_nhwc: &Tensor, params: Option<&AugmentParams>) -> Tensor {
    let images = images_u8_nhwc.contiguous();
    let size = images.size();
    let (height, width) = (size[1] as usize, size[2] as usize);
    let out = Tensor::empty(&size, (Kind::Float, Device::Cpu));
    let n = images.numel();
    if n == 0 {
        return out.permute([0, 3, 1, 2]);
    }
    assert!(images.kind() == Kind::Uint8 && images.device() == Device::Cpu);
    // SAFETY: both are contiguous CPU tensors of `n` elements of these types; `out` was just allocated, so nobody else
    // has a handle to it, and `images` is only read.
    let (from, to) = unsafe {
        (
            std::slice::from_raw_parts(images.data_ptr().cast::<u8>(), n),
            std::slice::from_raw_parts_mut(out.data_ptr().cast::<f32>(), n),
        )
    };
    let one = height * width * 3;
    let pictures = to.par_chunks_mut(one).zip(from.par_chunks(one));
    match params {
        None => {
            let table = normalized_bytes();
            pictures.for_each(|(to, from)| look_up(&table, from, to));
        }
        Some(params) => pictures.zip(&params.images).for_each_init(
            || Scratch::new(height, width),
            |scratch, ((to, from), params)| augment_one(from, params, scratch, to),
        ),
    }
    out.permute([0, 3, 1, 2])
}

/// What each byte becomes in each channel.
fn normalized_bytes() -> [[f32; 3]; 256] {
    std::array::from_fn(|byte| {
        std::array::from_fn(|channel| (byte as f32 / 255.0 - MEAN[channel]) / STD[channel])
    })
}

fn look_up(table: &[[f32; 3]; 256], from: &[u8], to: &mut [f32]) {
    let (from, _) = from.as_chunks::<3>();
    let (to, _) = to.as_chunks_mut::<3>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = std::array::from_fn(|channel| table[usize::from(from[channel])][channel]);
    }
}

/// What a thread needs beside the pictures.
struct Scratch {
    width: usize,
    height: usize,
    /// The picture, with one byte behind it, so that four bytes can be read at each of its pixels.
    source: Vec<u8>,
    /// Red, green and blue, 0 to 1.
    planes: [Vec<f32>; 3],
    row: RowOrigin,
}

/// Where a row's pixels come from, with whole numbers at the picture's pixels, and how much of each is not black.
struct RowOrigin {
    x: Vec<f32>,
    y: Vec<f32>,
    cover: Vec<f32>,
}

/// The same row of the three planes.
type Rgb<'a> = [&'a mut [f32]; 3];

impl Scratch {
    fn new(height: usize, width: usize) -> Self {
        let plane = || vec![0.0; height * width];
        let row = || vec![0.0; width];
        Self {
            width,
            height,
            source: vec![0; height * width * 3 + 1],
            planes: [plane(), plane(), plane()],
            row: RowOrigin {
                x: row(),
                y: row(),
                cover: row(),
            },
        }
    }
}

fn augment_one(picture: &[u8], params: &ImageParams, scratch: &mut Scratch, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked.
        return unsafe { augment_one_avx2(picture, params, scratch, out) };
    }
    augment_one_anywhere(picture, params, scratch, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn augment_one_avx2(picture: &[u8], params: &ImageParams, scratch: &mut Scratch, out: &mut [f32]) {
    augment_one_anywhere(picture, params, scratch, out);
}

/// Contrast needs the mean of the whole picture, so the rows are passed twice: up to it, and from it on.
#[inline(always)]
fn augment_one_anywhere(
    picture: &[u8],
    params: &ImageParams,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let (width, height) = (scratch.width, scratch.height);
    let mapping = Mapping::new(params, width as i64, height as i64);
    if mapping.is_some() {
        scratch.source[..picture.len()].copy_from_slice(picture);
    }
    let steps = params.jitter.steps();
    let is_contrast = |(adjustment, _): &(Adjustment, f32)| *adjustment == Adjustment::Contrast;
    let contrast = steps.iter().position(is_contrast).unwrap_or(steps.len());
    let (before, from_contrast) = steps.split_at(contrast);

    let mut luma_sum = 0.0;
    for y in 0..height {
        let mut rgb = row_of(&mut scratch.planes, y, width);
        match &mapping {
            Some(mapping) => {
                trace_row(mapping, y, &mut scratch.row);
                sample_row(&scratch.source, width, &scratch.row, &mut rgb);
            }
            None => copy_row(&picture[y * width * 3..], &mut rgb),
        }
        if params.grayscale {
            gray_row(&mut rgb);
        }
        for &(adjustment, factor) in before {
            adjust_row(&mut rgb, adjustment, factor, 0.0);
        }
        if !from_contrast.is_empty() {
            luma_sum += luma_of_row(&rgb);
        }
    }
    let mean_luma = (luma_sum / (width * height) as f64) as f32;
    for (y, out) in out.chunks_exact_mut(width * 3).enumerate() {
        let mut rgb = row_of(&mut scratch.planes, y, width);
        for &(adjustment, factor) in from_contrast {
            adjust_row(&mut rgb, adjustment, factor, mean_luma);
        }
        normalize_row(&rgb, out);
    }
}

#[inline(always)]
fn row_of(planes: &mut [Vec<f32>; 3], y: usize, width: usize) -> Rgb<'_> {
    planes
        .each_mut()
        .map(|plane| &mut plane[y * width..(y + 1) * width])
}

/// Traces the centres of row `y` back through the mapping.
#[inline(always)]
fn trace_row(mapping: &Mapping, y: usize, row: &mut RowOrigin) {
    let m = mapping.homography.map(|row| row.map(|x| x as f32));
    let y = y as f32 + 0.5;
    let [at_x, at_y, at_w] = m.map(|row| row[1] * y + row[2]);
    let [frame_w, frame_h] = mapping.frame.map(|side| side as f32);
    // On the horizon of a perspective there is no number: such a point is black, which `clamp` would not make it.
    #[allow(clippy::manual_clamp)]
    let cover = |at: f32, side: f32| (at + 0.5).min(side + 0.5 - at).max(0.0).min(1.0);
    let place = |at: f32, axis: &Axis| {
        let within = (at * axis.scale as f32 + axis.offset as f32).max(axis.first as f32);
        within.min(axis.last as f32)
    };
    let into = row.x.iter_mut().zip(&mut row.y).zip(&mut row.cover);
    for (column, ((x, y), covered)) in into.enumerate() {
        let along = column as f32 + 0.5;
        let w = m[2][0] * along + at_w;
        let in_frame = [(m[0][0] * along + at_x) / w, (m[1][0] * along + at_y) / w];
        // As bilinear sampling of a picture with zeros around it: half of a pixel's weight at the picture's rim.
        *covered = cover(in_frame[0], frame_w) * cover(in_frame[1], frame_h);
        *x = place(in_frame[0], &mapping.crop[0]);
        *y = place(in_frame[1], &mapping.crop[1]);
    }
}

/// Bilinear sampling of a picture of `width` columns and one byte more.
#[inline(always)]
fn sample_row(source: &[u8], width: usize, row: &RowOrigin, rgb: &mut Rgb) {
    let last = (source.len() - 1) / 3 - 1;
    let pixel = |index: usize| -> [f32; 4] {
        let at = 3 * index.min(last);
        let bytes = &source[at..at + 4];
        [bytes[0], bytes[1], bytes[2], bytes[3]].map(f32::from)
    };
    let [red, green, blue] = rgb;
    let into = red.iter_mut().zip(green.iter_mut()).zip(blue.iter_mut());
    let origins = row.x.iter().zip(&row.y).zip(&row.cover);
    for (((red, green), blue), ((&x, &y), &cover)) in into.zip(origins) {
        // Never negative, so cutting off the fraction rounds down. At the last column and row the fraction is 0, and
        // which pixel is read beside it makes no difference.
        let (left, top) = (x as i32, y as i32);
        let (right_part, below_part) = (x - left as f32, y - top as f32);
        let at = top as usize * width + left as usize;
        let (a, b) = (pixel(at), pixel(at + 1));
        let (c, d) = (pixel(at + width), pixel(at + width + 1));
        let scale = cover * (1.0 / 255.0);
        let above = scale * (1.0 - below_part);
        let below = scale * below_part;
        let (above_right, below_right) = (above * right_part, below * right_part);
        let (above_left, below_left) = (above * (1.0 - right_part), below * (1.0 - right_part));
        let mixed: [f32; 4] = std::array::from_fn(|channel| {
            (a[channel] * above_left + b[channel] * above_right)
                + (c[channel] * below_left + d[channel] * below_right)
        });
        [*red, *green, *blue] = [mixed[0], mixed[1], mixed[2]];
    }
}

/// The row as it is.
#[inline(always)]
fn copy_row(source: &[u8], rgb: &mut Rgb) {
    let (pixels, _) = source.as_chunks::<3>();
    for (channel, plane) in rgb.iter_mut().enumerate() {
        for (value, pixel) in plane.iter_mut().zip(pixels) {
            *value = f32::from(pixel[channel]) / 255.0;
        }
    }
}

/// ITU-R 601's luma with torchvision's coefficients.
#[inline(always)]
fn luma(r: f32, g: f32, b: f32) -> f32 {
    r * 0.2989 + g * 0.587 + b * 0.114
}

/// Each pixel of a row to a new one.
#[inline(always)]
fn map_row(rgb: &mut Rgb, pixel: impl Fn(f32, f32, f32) -> [f32; 3]) {
    let [red, green, blue] = rgb;
    let n = red.len();
    // Slices of one length, so that the compiler checks bounds once and not at every pixel.
    let (red, green, blue) = (&mut red[..n], &mut green[..n], &mut blue[..n]);
    for i in 0..n {
        [red[i], green[i], blue[i]] = pixel(red[i], green[i], blue[i]);
    }
}

#[inline(always)]
fn gray_row(rgb: &mut Rgb) {
    map_row(rgb, |r, g, b| [luma(r, g, b); 3]);
}

/// The sum of a row's luma, in eight parts side by side.
#[inline(always)]
fn luma_of_row(rgb: &Rgb) -> f64 {
    let [red, green, blue] = rgb;
    let mut sums = [0f32; 8];
    let eights = |plane: &'_ [f32]| plane.len() - plane.len() % 8;
    let whole = eights(red);
    let chunks = red.as_chunks::<8>().0.iter();
    let chunks = chunks
        .zip(green.as_chunks::<8>().0)
        .zip(blue.as_chunks::<8>().0);
    for ((r, g), b) in chunks {
        for i in 0..8 {
            sums[i] += luma(r[i], g[i], b[i]);
        }
    }
    for i in whole..red.len() {
        sums[i - whole] += luma(red[i], green[i], blue[i]);
    }
    sums.iter().map(|sum| f64::from(*sum)).sum()
}

/// One adjustment of `ColorJitter`, as `torchvision.transforms.functional` does it.
#[inline(always)]
fn adjust_row(rgb: &mut Rgb, adjustment: Adjustment, factor: f32, mean_luma: f32) {
    let clamp = |x: f32| x.clamp(0.0, 1.0);
    let rest = 1.0 - factor;
    match adjustment {
        Adjustment::Brightness => {
            map_row(rgb, |r, g, b| [r, g, b].map(|x| clamp(x * factor)));
        }
        Adjustment::Contrast => {
            let rest = mean_luma * rest;
            map_row(rgb, |r, g, b| [r, g, b].map(|x| clamp(x * factor + rest)));
        }
        Adjustment::Saturation => map_row(rgb, |r, g, b| {
            let rest = luma(r, g, b) * rest;
            [r, g, b].map(|x| clamp(x * factor + rest))
        }),
        Adjustment::Hue => map_row(rgb, |r, g, b| turn_hue([r, g, b], factor * 6.0)),
    }
}

/// Turns the hue by sixths of the circle; the formula is that of `tensors::turn_hue`.
#[inline(always)]
fn turn_hue([r, g, b]: [f32; 3], turn: f32) -> [f32; 3] {
    let most = r.max(g).max(b);
    let range = most - r.min(g).min(b);
    let divisor = range.max(1e-12);
    let from_green = (b - r) + divisor * 2.0;
    let from_blue = (r - g) + divisor * 4.0;
    let other = if g == most { from_green } else { from_blue };
    let hue = (if r == most { g - b } else { other }) / divisor + turn;
    [5.0, 3.0, 1.0].map(|corner| {
        // hue is in −4..8 and k in −3..13: at most one turn of the circle too low, or two too high.
        let k: f32 = hue + corner;
        let k = if k < 0.0 { k + 6.0 } else { k };
        let k = if k >= 6.0 { k - 6.0 } else { k };
        let k = if k >= 6.0 { k - 6.0 } else { k };
        most - range * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// ImageNet's mean and deviation, planes to pixels.
#[inline(always)]
fn normalize_row(rgb: &Rgb, out: &mut [f32]) {
    let [red, green, blue] = rgb;
    let (pixels, _) = out.as_chunks_mut::<3>();
    for (((pixel, r), g), b) in pixels.iter_mut().zip(&**red).zip(&**green).zip(&**blue) {
        *pixel = [
            (r - MEAN[0]) / STD[0],
            (g - MEAN[1]) / STD[1],
            (b - MEAN[2]) / STD[2],
        ];
    }
}
