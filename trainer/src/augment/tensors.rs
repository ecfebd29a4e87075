//! The transforms as operations on a whole batch, for any device that libtorch knows.
//!
//! Each picture has its own order of colour adjustments. At each of the four places in the order, the pictures whose
//! turn it is are gathered, adjusted together and put back, so that every picture is adjusted four times and not
//! sixteen. All numbers and indices of a batch reach the device in one copy each, which nothing waits for.

use tch::{Device, Kind, Tensor};

use super::mapping::Mapping;
use super::params::{Adjustment, AugmentParams, MEAN, STD};
use crate::torch::memory::upload;

/// Pictures u8 `[B, H, W, 3]` to network input fp32 `[B, 3, H, W]` on the same device.
pub fn prepare(images_u8_nhwc: &Tensor, params: Option<&AugmentParams>) -> Tensor {
    let device = images_u8_nhwc.device();
    let size = images_u8_nhwc.size();
    let plan = Plan::new(params, size[2], size[1]);
    let numbers = upload(Tensor::from_slice(&plan.numbers), device);
    let indices = upload(Tensor::from_slice(&plan.indices), device);
    let constant = |index: usize| numbers.narrow(0, 3 * index as i64, 3).view([1, 3, 1, 1]);
    let (mean, std, corners) = (constant(0), constant(1), constant(2));

    let planes = images_u8_nhwc.permute([0, 3, 1, 2]).contiguous();
    let mut images = planes.to_kind(Kind::Float).g_div_scalar_(255.0);
    for step in &plan.steps {
        let chosen = indices.narrow(0, step.first_index as i64, step.count as i64);
        let width = step.do_.numbers() as i64;
        let given = numbers
            .narrow(0, step.first_number as i64, step.count as i64 * width)
            .view([step.count as i64, width]);
        let given_each = || given.view([-1, 1, 1, 1]);
        let before = images.index_select(0, &chosen);
        let after = match step.do_ {
            Do::Warp => warp(&before, &given),
            Do::Grayscale => luma(&before).expand_as(&before).contiguous(),
            Do::Adjust(Adjustment::Hue) => turn_hue(&before, &given_each(), &corners),
            Do::Adjust(adjustment) => blend(before, adjustment, &given_each()),
        };
        let _ = images.index_copy_(0, &chosen, &after);
    }
    images.g_sub_(&mean).g_div_(&std)
}

/// What is done to some pictures of the batch.
#[derive(Debug, Clone, Copy)]
enum Do {
    Warp,
    Grayscale,
    Adjust(Adjustment),
}

impl Do {
    /// Numbers that it takes for each picture.
    fn numbers(self) -> usize {
        match self {
            Self::Warp => 9 + 2 + 8,
            Self::Grayscale => 0,
            Self::Adjust(_) => 1,
        }
    }
}

/// A batch's augmentation, flat: the steps in order, and all that they take.
struct Plan {
    steps: Vec<Step>,
    /// ImageNet's means and deviations and the corners of the hue's formula, then each step's numbers.
    numbers: Vec<f32>,
    indices: Vec<i64>,
}

struct Step {
    do_: Do,
    first_index: usize,
    count: usize,
    first_number: usize,
}

impl Plan {
    fn new(params: Option<&AugmentParams>, width: i64, height: i64) -> Self {
        let mut plan = Self {
            steps: Vec::new(),
            numbers: [MEAN, STD, [5.0, 3.0, 1.0]].concat(),
            indices: Vec::new(),
        };
        let images = params.map_or(&[][..], |params| &params.images);
        let all = || (0..).zip(images);
        plan.add(
            Do::Warp,
            all().filter_map(|(i, p)| Some((i, numbers_of(&Mapping::new(p, width, height)?)))),
        );
        let gray = all().filter(|(_, p)| p.grayscale);
        plan.add(Do::Grayscale, gray.map(|(i, _)| (i, Vec::new())));
        for place in 0..4 {
            for adjustment in Adjustment::ALL {
                let turn = all().filter(|(_, p)| p.jitter.order[place] == adjustment);
                let factors =
                    turn.filter_map(|(i, p)| Some((i, vec![p.jitter.factor(adjustment)?])));
                plan.add(Do::Adjust(adjustment), factors);
            }
        }
        plan
    }

    fn add(&mut self, do_: Do, pictures: impl Iterator<Item = (i64, Vec<f32>)>) {
        let (first_index, first_number) = (self.indices.len(), self.numbers.len());
        for (index, numbers) in pictures {
            self.indices.push(index);
            self.numbers.extend(numbers);
        }
        let count = self.indices.len() - first_index;
        if count > 0 {
            self.steps.push(Step {
                do_,
                first_index,
                count,
                first_number,
            });
        }
    }
}

/// The homography, the frame's sides, then offset, scale, first and last of each axis.
fn numbers_of(mapping: &Mapping) -> Vec<f32> {
    let crop = mapping
        .crop
        .map(|axis| [axis.offset, axis.scale, axis.first, axis.last]);
    let all = mapping.homography.iter().flatten();
    let all = all.chain(&mapping.frame).chain(crop.iter().flatten());
    all.map(|number| *number as f32).collect()
}

/// Pictures `[n, 3, H, W]` under their [`Mapping`]s, given as [`numbers_of`] lists them: `[n, 19]`.
fn warp(images: &Tensor, mappings: &Tensor) -> Tensor {
    let size = images.size();
    let (n, height, width) = (size[0], size[2], size[3]);
    let matrices = mappings.narrow(1, 0, 9).view([n, 3, 3]).transpose(1, 2);
    let traced = centres(width, height, images.device()).matmul(&matrices); // [n, H·W, 3]
    let in_frame = traced.narrow(2, 0, 2) / traced.narrow(2, 2, 1); // [n, H·W, 2]

    // As bilinear sampling of a picture with zeros around it: half of a pixel's weight at the picture's rim.
    let frame = mappings.narrow(1, 9, 2).unsqueeze(1); // [n, 1, 2]
    let beyond = (frame + 0.5) - &in_frame;
    let cover = (&in_frame + 0.5).minimum(&beyond).clamp(0.0, 1.0);
    let cover = cover.prod_dim_int(2, false, Kind::Float); // [n, H·W]

    let axes = mappings.narrow(1, 11, 8).view([n, 1, 2, 4]);
    let of_axis = |index| axes.select(3, index); // [n, 1, 2]
    let place = (in_frame * of_axis(1) + of_axis(0))
        .maximum(&of_axis(2))
        .minimum(&of_axis(3));
    // grid_sampler's corners are the centres of the corner pixels.
    let last = mappings.narrow(1, 9, 2).unsqueeze(1) - 1.0;
    let grid = (place * 2.0 / last - 1.0).view([n, height, width, 2]);
    let (bilinear, border) = (0, 1);
    images.grid_sampler(&grid, bilinear, border, true) * cover.view([n, 1, height, width])
}

/// Homogeneous coordinates of every pixel's centre, row by row: `[H·W, 3]`.
fn centres(width: i64, height: i64, device: Device) -> Tensor {
    let along = |n| Tensor::arange(n, (Kind::Float, device)) + 0.5;
    let x = along(width).view([1, width]).expand([height, width], false);
    let y = along(height)
        .view([height, 1])
        .expand([height, width], false);
    Tensor::stack(&[&x, &y, &x.ones_like()], 2).view([-1, 3])
}

/// Brightness, contrast or saturation of `[n, 3, H, W]` by factors `[n, 1, 1, 1]`, as `torchvision.transforms.functional`
/// does: factor · image + (1 − factor) · other.
fn blend(mut images: Tensor, adjustment: Adjustment, factors: &Tensor) -> Tensor {
    let other = match adjustment {
        Adjustment::Contrast => luma(&images).mean_dim([1, 2, 3].as_slice(), true, Kind::Float),
        Adjustment::Saturation => luma(&images),
        _ => return images.g_mul_(factors).clamp_(0.0, 1.0),
    };
    let rest = other * (-factors + 1.0);
    images.g_mul_(factors).g_add_(&rest).clamp_(0.0, 1.0)
}

/// ITU-R 601's luma with torchvision's coefficients: `[n, 3, H, W]` → `[n, 1, H, W]`.
fn luma(images: &Tensor) -> Tensor {
    let channel = |index| images.narrow(1, index, 1);
    channel(0) * 0.2989 + channel(1) * 0.587 + channel(2) * 0.114
}

/// Turns the hue of `[n, 3, H, W]` by parts `[n, 1, 1, 1]` of the circle; value and saturation stay. `corners` is 5, 3, 1.
///
/// The hexagonal formula that torchvision takes from Pillow, in another shape: with the hue in sixths of the circle and
/// k = (5, 3, 1) + hue for red, green, blue, a channel is max − (max − min) · clamp(min(k mod 6, 4 − k mod 6), 0, 1).
fn turn_hue(images: &Tensor, turns: &Tensor, corners: &Tensor) -> Tensor {
    let (red, green, blue) = (
        images.narrow(1, 0, 1),
        images.narrow(1, 1, 1),
        images.narrow(1, 2, 1),
    );
    let most = images.amax([1].as_slice(), true);
    let range = &most - images.amin([1].as_slice(), true);
    // A gray pixel has no hue; any divisor does, since its range is 0 below.
    let divisor = range.clamp_min(1e-12);
    let from_red = &green - &blue;
    let from_green = (&blue - &red) + &divisor * 2.0;
    let from_blue = (&red - &green) + &divisor * 4.0;
    let hue = from_red
        .where_self(
            &red.eq_tensor(&most),
            &from_green.where_self(&green.eq_tensor(&most), &from_blue),
        )
        .g_div_(&divisor)
        .g_add_(&(turns * 6.0)); // [n, 1, H, W]
    let k = (hue + corners).remainder_(6.0);
    let other = -&k + 4.0;
    let mut k = k.minimum(&other);
    let part = k.clamp_(0.0, 1.0);
    most - range * part
}
