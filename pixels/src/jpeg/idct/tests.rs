//! The inverse DCT against its definition (A.3.3 of T.81), and its two forms against each other.

use super::*;

/// Splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// By the definition, before it is rounded and clamped.
fn exact(coefficients: &[i16; 64]) -> [[f64; 8]; 8] {
    let c = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
    let cosine =
        |x: usize, u: usize| (std::f64::consts::PI * (2 * x + 1) as f64 * u as f64 / 16.0).cos();
    std::array::from_fn(|y| {
        std::array::from_fn(|x| {
            let mut sum = 0.0;
            for v in 0..8 {
                for u in 0..8 {
                    let coefficient = f64::from(coefficients[v * 8 + u]);
                    sum += c(u) * c(v) * coefficient * cosine(x, u) * cosine(y, v);
                }
            }
            sum / 4.0 + 128.0
        })
    })
}

#[cfg(target_arch = "x86_64")]
fn wide<const KEPT: usize>(coefficients: &[i16; 64]) -> Option<[[u8; 8]; 8]> {
    // SAFETY: the processor has AVX2.
    is_x86_feature_detected!("avx2").then(|| unsafe { avx2::transform::<KEPT>(coefficients) })
}

#[cfg(not(target_arch = "x86_64"))]
fn wide<const KEPT: usize>(_: &[i16; 64]) -> Option<[[u8; 8]; 8]> {
    None
}

/// Transforms in every way that there is and makes sure that all agree.
fn transformed(coefficients: &[i16; 64]) -> [[u8; 8]; 8] {
    let samples = plain::transform::<8>(coefficients);
    if let Some(wide) = wide::<8>(coefficients) {
        assert_eq!(wide, samples, "{coefficients:?}");
    }
    let small = (0..64).all(|i| (i % 8 < 4 && i / 8 < 4) || coefficients[i] == 0);
    if small {
        assert_eq!(plain::transform::<4>(coefficients), samples);
        if let Some(wide) = wide::<4>(coefficients) {
            assert_eq!(wide, samples, "{coefficients:?}");
        }
    }
    samples
}

#[test]
fn samples_are_within_one_of_the_exact_transform() {
    let mut state = 1;
    let (mut different, mut all) = (0, 0);
    for round in 0..4000u64 {
        // From flat blocks to full ones; what a quantiser leaves is larger at low frequencies.
        let n = 1 + round as usize % 64;
        let mut coefficients = [0i16; 64];
        for i in 0..n {
            let place = if round % 3 == 0 {
                i
            } else {
                random(&mut state) as usize % 64
            };
            let range = 1200 / (1 + place as u64 % 8 + place as u64 / 8) + 2;
            coefficients[place] = (random(&mut state) % range) as i16 - (range / 2) as i16;
        }
        let exact = exact(&coefficients);
        for (samples, exact) in transformed(&coefficients).iter().zip(&exact) {
            for (&sample, &exact) in samples.iter().zip(exact) {
                let rounded = exact.round().clamp(0.0, 255.0);
                assert!(
                    (f64::from(sample) - rounded).abs() <= 1.0,
                    "{sample}, {exact}"
                );
                different += u32::from(f64::from(sample) != rounded);
                all += 1;
            }
        }
    }
    // IEEE 1180 allows a mean square error of 0.02.
    assert!(different * 50 < all, "{different} of {all}");
}

#[test]
fn both_forms_agree_whatever_the_coefficients() {
    let mut state = 2;
    let extremes = [i16::MIN, i16::MAX, -1, 0, 1, 1024, -1024, 0x4000];
    for round in 0..20_000 {
        let coefficients: [i16; 64] = std::array::from_fn(|i| {
            let small = i % 8 < 4 && i / 8 < 4;
            match random(&mut state) {
                _ if round % 4 == 0 && !small => 0,
                r if round % 2 == 0 => extremes[(r >> 20) as usize % extremes.len()],
                r => (r >> 16) as i16,
            }
        });
        transformed(&coefficients);
    }
    for value in extremes {
        transformed(&[value; 64]);
    }
}

#[test]
fn a_block_of_a_mean_alone_is_flat() {
    for dc in i16::MIN..=i16::MAX {
        let mut coefficients = [0; 64];
        coefficients[0] = dc;
        assert_eq!(transformed(&coefficients), [[flat(dc); 8]; 8], "{dc}");
    }
}
