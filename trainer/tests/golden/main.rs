//! The computing half against PyTorch, torchvision, efficientnet_lite_pytorch and pytorch-metric-learning.
//! `make_golden.py`, `make_golden_lites.py` and `make_golden_pairs.py` made the numbers.

mod augmentations;
mod lites;
mod losses;
mod optimizers;
mod pairs;
mod proxies;
mod pth;
mod resnets;
mod schedules;

use std::collections::BTreeMap;
use std::path::Path;

use logodex_trainer::torch::{load_tensors, set_threads};
use tch::{Kind, Tensor};

/// One of the golden files. Every test begins here, and computes on its own thread alone.
fn golden(name: &str) -> BTreeMap<String, Tensor> {
    set_threads(1);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{name}.safetensors"));
    load_tensors(&path).unwrap()
}

/// `fill` of `fill.py`: f64 numbers in [0, 1).
fn fill(name: &str, shape: &[i64]) -> Tensor {
    let key = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |key, byte| {
        (key ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let values: Vec<f64> = (0..shape.iter().product::<i64>() as u64)
        .map(|index| {
            let mut z = index.wrapping_add(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (z >> 40) as f64 / f64::from(1 << 24)
        })
        .collect();
    Tensor::from_slice(&values).view(shape)
}

/// fp32 numbers in ±scale.
fn centred(name: &str, shape: &[i64], scale: f64) -> Tensor {
    ((fill(name, shape) * 2.0 - 1.0) * scale).to_kind(Kind::Float)
}

/// The largest difference, relative to the largest number of `expected`.
fn relative_difference(actual: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(actual.size(), expected.size());
    let max = |t: Tensor| t.abs().max().double_value(&[]);
    let (actual, expected) = (actual.to_kind(Kind::Double), expected.to_kind(Kind::Double));
    let difference = max(&actual - &expected);
    assert!(difference.is_finite(), "{difference}");
    difference / max(expected).max(1e-30)
}

#[track_caller]
fn assert_close(actual: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    let difference = relative_difference(actual, expected);
    assert!(
        difference <= tolerance,
        "{what}: differs by {difference:.2e}, more than {tolerance:.0e}"
    );
}
