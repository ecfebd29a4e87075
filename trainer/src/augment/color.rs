//! Grayscale and colour jitter for a batch.
//!
//! Each image has its own order of adjustments. At each of the four places in the order, the images whose turn it is
//! are gathered, adjusted together and put back, so that every image is adjusted four times and not sixteen.

use tch::{Kind, Tensor};

use super::{Adjustment, ImageParams, Jitter};

/// Replaces the marked images of `[B, 3, H, W]` by their luma in all channels.
pub(super) fn grayscale_(images: &mut Tensor, params: &[ImageParams]) {
    let marked: Vec<i64> = (0..)
        .zip(params)
        .filter(|(_, p)| p.grayscale)
        .map(|(index, _)| index)
        .collect();
    if marked.is_empty() {
        return;
    }
    let marked = Tensor::from_slice(&marked).to_device(images.device());
    let chosen = images.index_select(0, &marked);
    let gray = luma(&chosen).expand_as(&chosen).contiguous();
    let _ = images.index_copy_(0, &marked, &gray);
}

/// `ColorJitter` on `[B, 3, H, W]`.
pub(super) fn jitter(mut images: Tensor, params: &[ImageParams]) -> Tensor {
    for place in 0..4 {
        for adjustment in [
            Adjustment::Brightness,
            Adjustment::Contrast,
            Adjustment::Saturation,
            Adjustment::Hue,
        ] {
            let (turn, factors): (Vec<i64>, Vec<f32>) = (0..)
                .zip(params)
                .filter(|(_, p)| p.jitter.order[place] == adjustment)
                .filter_map(|(index, p)| Some((index, strength(&p.jitter, adjustment)?)))
                .unzip();
            if turn.is_empty() {
                continue;
            }
            let turn = Tensor::from_slice(&turn).to_device(images.device());
            let factors = Tensor::from_slice(&factors)
                .view([-1, 1, 1, 1])
                .to_device(images.device());
            let chosen = images.index_select(0, &turn);
            let adjusted = adjust(chosen, adjustment, &factors);
            let _ = images.index_copy_(0, &turn, &adjusted);
        }
    }
    images
}

/// The drawn number, unless it changes nothing.
fn strength(jitter: &Jitter, adjustment: Adjustment) -> Option<f32> {
    let (value, nothing) = match adjustment {
        Adjustment::Brightness => (jitter.brightness, 1.0),
        Adjustment::Contrast => (jitter.contrast, 1.0),
        Adjustment::Saturation => (jitter.saturation, 1.0),
        Adjustment::Hue => (jitter.hue, 0.0),
    };
    (value != nothing).then_some(value as f32)
}

/// One adjustment of images `[n, 3, H, W]` by factors `[n, 1, 1, 1]`, as `torchvision.transforms.functional` does.
fn adjust(mut images: Tensor, adjustment: Adjustment, factors: &Tensor) -> Tensor {
    let other = match adjustment {
        Adjustment::Brightness => return images.g_mul_(factors).clamp_(0.0, 1.0),
        Adjustment::Contrast => luma(&images).mean_dim([1, 2, 3].as_slice(), true, Kind::Float),
        Adjustment::Saturation => luma(&images),
        Adjustment::Hue => return turn_hue(&images, factors),
    };
    // factor · image + (1 − factor) · other
    let rest = other * (-factors + 1.0);
    images.g_mul_(factors).g_add_(&rest).clamp_(0.0, 1.0)
}

/// ITU-R 601's luma with torchvision's coefficients: `[n, 3, H, W]` → `[n, 1, H, W]`.
fn luma(images: &Tensor) -> Tensor {
    let channel = |index| images.narrow(1, index, 1);
    channel(0) * 0.2989 + channel(1) * 0.587 + channel(2) * 0.114
}

/// Turns the hue of `[n, 3, H, W]` by parts `[n, 1, 1, 1]` of the circle; value and saturation stay.
///
/// The hexagonal formula that torchvision takes from Pillow, in another shape: with the hue in sixths of the circle and
/// k = (5, 3, 1) + hue for red, green, blue, a channel is max − (max − min) · clamp(min(k mod 6, 4 − k mod 6), 0, 1).
fn turn_hue(images: &Tensor, turns: &Tensor) -> Tensor {
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
    let corner = Tensor::from_slice(&[5.0_f32, 3.0, 1.0]).view([1, 3, 1, 1]);
    let k = (hue + corner.to_device(images.device())).remainder_(6.0);
    let other = -&k + 4.0;
    let mut k = k.minimum(&other);
    let part = k.clamp_(0.0, 1.0);
    most - range * part
}
