//! The transforms on a GPU: two kernels of our own, a thread for each pixel, where the tensor operations carry the whole
//! batch through memory some eighty times.

use tch::{Device, Kind, Tensor};

use super::mapping::Mapping;
use super::params::{Adjustment, AugmentParams, ImageParams};
use crate::torch::kernels::{Argument, Source, THREADS};
use crate::torch::memory::upload;

/// The kernels; a test runs them on the CPU.
static SOURCE: Source = Source::new(include_str!("../../cuda/augment.cu"));
/// Blocks that sum the luma of a picture.
const PARTS: u32 = 16;
/// Numbers of a picture, as `augment.cu` counts them.
const NUMBERS: usize = 1 + 9 + 2 * 4 + 1 + 1 + 4 + 4;

/// Augments pictures u8 `[B, H, W, 3]` on a CUDA device to network input fp32 `[B, 3, H, W]`, in channels-last memory.
/// None where the kernels cannot be had.
pub fn prepare(images_u8_nhwc: &Tensor, params: &AugmentParams) -> Option<Tensor> {
    let device = images_u8_nhwc.device();
    if !device.is_cuda() {
        return None;
    }
    let kernels = SOURCE.on(device)?;
    let images = images_u8_nhwc.contiguous();
    let size = images.size();
    let (height, width) = (size[1], size[2]);
    let numbers = upload(Tensor::from_slice(&numbers(params, width, height)), device);
    let work = Work::new(&images, &numbers, device);
    if images.numel() > 0 {
        let pixels = (height * width) as u32;
        // SAFETY: Work::new has made the memory that the kernels take, for pictures of this size.
        unsafe {
            kernels.launch(c"luma_sums", [PARTS, size[0] as u32], &mut work.sums());
            let blocks = pixels.div_ceil(THREADS);
            kernels.launch(c"augment", [blocks, size[0] as u32], &mut work.augment());
        }
    }
    Some(work.out.permute([0, 3, 1, 2]))
}

/// The memory of a batch, and the arguments of the two kernels.
struct Work<'a> {
    images: &'a Tensor,
    numbers: &'a Tensor,
    sums: Tensor,
    out: Tensor,
}

impl<'a> Work<'a> {
    /// `images` is contiguous u8 `[B, H, W, 3]`, `numbers` fp32 `[B, NUMBERS]`.
    fn new(images: &'a Tensor, numbers: &'a Tensor, device: Device) -> Self {
        assert_eq!(images.kind(), Kind::Uint8);
        let size = images.size();
        Self {
            images,
            numbers,
            sums: Tensor::empty([size[0], i64::from(PARTS)], (Kind::Float, device)),
            out: Tensor::empty(&size, (Kind::Float, device)),
        }
    }

    fn sides(&self) -> [Argument; 2] {
        let size = self.images.size();
        [Argument::Int(size[2] as i32), Argument::Int(size[1] as i32)]
    }

    fn sums(&self) -> [Argument; 5] {
        let [width, height] = self.sides();
        [
            Argument::Pointer(self.images.data_ptr()),
            Argument::Pointer(self.numbers.data_ptr()),
            Argument::Pointer(self.sums.data_ptr()),
            width,
            height,
        ]
    }

    fn augment(&self) -> [Argument; 7] {
        let [width, height] = self.sides();
        [
            Argument::Pointer(self.images.data_ptr()),
            Argument::Pointer(self.numbers.data_ptr()),
            Argument::Pointer(self.sums.data_ptr()),
            Argument::Int(PARTS as i32),
            Argument::Pointer(self.out.data_ptr()),
            width,
            height,
        ]
    }
}

/// Each picture's numbers, `[B, NUMBERS]`.
fn numbers(params: &AugmentParams, width: i64, height: i64) -> Vec<f32> {
    let mut all = Vec::with_capacity(params.images.len() * NUMBERS);
    for image in &params.images {
        let end = all.len() + NUMBERS;
        append(&mut all, image, width, height);
        all.resize(end, 0.0);
    }
    all
}

fn append(all: &mut Vec<f32>, image: &ImageParams, width: i64, height: i64) {
    match Mapping::new(image, width, height) {
        None => all.extend([0.0; 1 + 9 + 2 * 4]),
        Some(mapping) => {
            all.push(1.0);
            all.extend(mapping.homography.iter().flatten().map(|x| *x as f32));
            for axis in mapping.crop {
                let axis = [axis.offset, axis.scale, axis.first, axis.last];
                all.extend(axis.map(|x| x as f32));
            }
        }
    }
    all.push(f32::from(u8::from(image.grayscale)));
    let steps = image.jitter.steps();
    all.push(steps.len() as f32);
    let kinds = all.len();
    all.extend(steps.iter().map(|(adjustment, _)| match adjustment {
        Adjustment::Brightness => 0.0,
        Adjustment::Contrast => 1.0,
        Adjustment::Saturation => 2.0,
        Adjustment::Hue => 3.0,
    }));
    all.resize(kinds + 4, 0.0);
    all.extend(steps.iter().map(|(_, factor)| factor));
}

#[cfg(test)]
mod tests {
    use logodex_schemas::train::AugmentConfig;

    use super::*;
    use crate::augment::{busy, draw, pixels};
    use crate::torch::emulated::Emulated;

    /// The kernels on the CPU, by a C++ compiler, beside the loops.
    #[test]
    fn the_kernels_compute_what_the_loops_compute() {
        let (n, side) = (64, 24);
        let config = busy();
        let off = AugmentConfig {
            crop_scale: None,
            views: None,
            perspective_p: 0.0,
            flip_p: 0.0,
            rotation_deg: 0.0,
            hue: 0.0,
            brightness: 0.0,
            ..config.clone()
        };
        crate::torch::manual_seed(5);
        let images = Tensor::randint(256, [n, side, side, 3], (Kind::Uint8, Device::Cpu));
        let keys: Vec<u64> = (0..n as u64).collect();
        let emulated = Emulated::compile(SOURCE.text);
        for config in [config, off] {
            let params = draw(&config, side as usize, 5, 0, &keys);
            let numbers = Tensor::from_slice(&numbers(&params, side, side));
            assert_eq!(numbers.numel(), n as usize * NUMBERS);
            let work = Work::new(&images, &numbers, Device::Cpu);
            // SAFETY: as in `prepare`; a block has one thread here.
            unsafe {
                emulated.launch(c"luma_sums", [PARTS, n as u32], &work.sums());
                let pixels = (side * side) as u32;
                emulated.launch(c"augment", [pixels, n as u32], &work.augment());
            }
            let found = work.out.permute([0, 3, 1, 2]);
            let loops = pixels::prepare(&images, Some(&params));
            // The mean luma is summed in another order, and the hue of a nearly gray pixel multiplies that.
            let difference = (&found - &loops).abs();
            assert!(difference.mean(Kind::Float).double_value(&[]) < 1e-5);
            assert!(difference.max().double_value(&[]) < 0.02);
        }
    }
}
