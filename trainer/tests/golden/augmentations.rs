//! Augmentation against torchvision.transforms.functional, for fixed parameters.

use logodex_trainer::augment::{
    Adjustment, AugmentParams, ImageParams, Jitter, Perspective, augment,
};
use tch::{Device, Kind, Tensor};

use crate::golden;

const CORNERS_A: [[f64; 2]; 4] = [[0.9, 0.1], [0.3, 0.7], [0.5, 0.95], [0.05, 0.6]];
const CORNERS_B: [[f64; 2]; 4] = [[0.2, 0.8], [0.99, 0.4], [0.0, 0.0], [0.6, 0.3]];

/// Name; perspective, flip, degrees; grayscale; order, brightness, contrast, saturation, hue.
type Row = (
    &'static str,
    (Option<[[f64; 2]; 4]>, bool, f64),
    bool,
    (&'static str, f64, f64, f64, f64),
);

/// `AUGMENTATIONS` of `make_golden.py`.
const ROWS: [Row; 15] = {
    const STILL: (Option<[[f64; 2]; 4]>, bool, f64) = (None, false, 0.0);
    const PLAIN: (&str, f64, f64, f64, f64) = ("bcsh", 1.0, 1.0, 1.0, 0.0);
    [
        ("perspective", (Some(CORNERS_A), false, 0.0), false, PLAIN),
        (
            "perspective_filled",
            (Some(CORNERS_A), false, 0.0),
            false,
            PLAIN,
        ),
        ("flip", (None, true, 0.0), false, PLAIN),
        ("rotation", (None, false, 12.5), false, PLAIN),
        ("grayscale", STILL, true, PLAIN),
        ("brightness", STILL, false, ("bcsh", 1.2, 1.0, 1.0, 0.0)),
        ("contrast", STILL, false, ("bcsh", 1.0, 0.7, 1.0, 0.0)),
        ("saturation", STILL, false, ("bcsh", 1.0, 1.0, 1.4, 0.0)),
        ("hue", STILL, false, ("bcsh", 1.0, 1.0, 1.0, 0.1)),
        ("hue_back", STILL, false, ("bcsh", 1.0, 1.0, 1.0, -0.35)),
        ("jitter", STILL, false, ("hscb", 0.85, 1.15, 0.8, -0.07)),
        ("jitter_gray", STILL, true, ("cbhs", 1.15, 0.85, 1.2, 0.1)),
        (
            "perspective_flip",
            (Some(CORNERS_B), true, 0.0),
            false,
            PLAIN,
        ),
        ("flip_rotation", (None, true, -14.0), false, PLAIN),
        (
            "everything",
            (Some(CORNERS_B), true, -9.0),
            false,
            ("shbc", 1.1, 0.9, 1.2, 0.05),
        ),
    ]
};

fn parameters(row: &Row) -> ImageParams {
    let (_, (corners, flip, rotation_deg), grayscale, jitter) = *row;
    let (order, brightness, contrast, saturation, hue) = jitter;
    let order: Vec<Adjustment> = order
        .chars()
        .map(|letter| match letter {
            'b' => Adjustment::Brightness,
            'c' => Adjustment::Contrast,
            's' => Adjustment::Saturation,
            _ => Adjustment::Hue,
        })
        .collect();
    ImageParams {
        perspective: corners.map(|corners| Perspective {
            scale: 0.5,
            corners,
        }),
        flip,
        rotation_deg,
        grayscale,
        jitter: Jitter {
            order: order.try_into().unwrap(),
            brightness,
            contrast,
            saturation,
            hue,
        },
    }
}

/// `picture` of `make_golden.py`.
fn picture(height: i64, width: i64) -> Tensor {
    let ramp = |n: i64| Tensor::arange(n, (Kind::Double, Device::Cpu)) / n as f64;
    let (y, x) = (ramp(height).view([-1, 1]), ramp(width).view([1, -1]));
    let waves = [(2.0, 1.0, 0.3), (1.0, 2.5, 1.1), (1.5, 1.5, 2.9)].map(|(a, b, c)| {
        let phase = (&x * a + &y * b) * std::f64::consts::TAU + c;
        phase.sin() * 0.45 + 0.5
    });
    Tensor::stack(&waves, 0).to_kind(Kind::Float)
}

/// 1 at least two pixels within the outline of the moved picture, else 0: `[H, W]`.
fn inside(params: &ImageParams, height: i64, width: i64) -> Tensor {
    let geometry = ImageParams {
        grayscale: false,
        jitter: Jitter {
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
            hue: 0.0,
            ..params.jitter
        },
        ..params.clone()
    };
    let white = Tensor::ones([1, 3, height, width], (Kind::Float, Device::Cpu));
    let params = AugmentParams {
        images: vec![geometry],
    };
    let uncovered = augment(&white, &params) * -1.0 + 1.0;
    let near = uncovered.max_pool2d([5, 5], [1, 1], [2, 2], [1, 1], false);
    near.get(0).get(0).lt(1e-3).to_kind(Kind::Float)
}

#[test]
fn a_batch_of_fixed_augmentations_equals_torchvision() {
    let golden = golden("augmentations");
    for (height, width) in [(48, 48), (40, 56)] {
        let image = picture(height, width);
        let images = Tensor::stack(&[&image; ROWS.len()], 0);
        let params = AugmentParams {
            images: ROWS.iter().map(parameters).collect(),
        };
        let augmented = augment(&images, &params) * 255.0;
        for (index, row) in (0..).zip(&ROWS) {
            let (name, (corners, flip, degrees), ..) = row;
            let expected = &golden[&format!("{height}x{width}.{name}")];
            let difference = (augmented.get(index) - expected).abs();
            let mean = difference.mean(Kind::Float).double_value(&[]);
            let largest = difference.max().double_value(&[]);
            let interpolations = u8::from(corners.is_some()) + u8::from(*degrees != 0.0);
            match interpolations {
                // Interpolated as often as there, or not at all: only the golden bytes' rounding may differ.
                0 | 1 if *name != "perspective_filled" => {
                    assert!(largest < 0.52, "{name}: {largest} of 255");
                }
                // Once instead of twice: the rim is less ragged, what lies within it nearly the same.
                _ => {
                    let inside = inside(&parameters(row), height, width);
                    assert!(inside.sum(Kind::Float).double_value(&[]) > 500.0);
                    let within =
                        (difference * &inside).sum(Kind::Float) / (inside.sum(Kind::Float) * 3.0);
                    let within = within.double_value(&[]);
                    assert!(within < 0.75, "{name}: {within} of 255 within");
                    assert!(mean < 2.0, "{name}: {mean} of 255");
                }
            }
            assert!(*flip || interpolations > 0 || mean > 0.0, "{name}");
        }
    }
}
