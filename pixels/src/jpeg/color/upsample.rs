//! A row of a component at the width of the picture, as libjpeg makes it (`jdsample.c`): interpolated with weights of 3
//! and 1 ("fancy upsampling") where a component is half as wide or half as high or both, else repeated.

use crate::jpeg::samples::ComponentSamples;

/// Row `y` of the picture. `out` may be written beyond; `sums` is a buffer, whatever it holds.
#[inline(always)]
pub(super) fn upsample(
    component: &ComponentSamples,
    y: usize,
    sums: &mut Vec<i16>,
    out: &mut [u8],
) {
    let n = component.width;
    let (h, v) = component.expand;
    let near = component.row(y / v);
    let far = match y % 2 {
        0 => (y / v).saturating_sub(1),
        _ => (y / v + 1).min(component.height - 1),
    };
    let far = component.row(far);
    // libjpeg does not interpolate rows of one or two samples.
    match (h, v, n > 2) {
        (1, 1, _) => out[..n].copy_from_slice(near),
        (1, 2, _) => {
            let round = if y.is_multiple_of(2) { 1 } else { 2 };
            for (out, (&near, &far)) in out.iter_mut().zip(near.iter().zip(far)) {
                *out = ((3 * u16::from(near) + u16::from(far) + round) >> 2) as u8;
            }
        }
        (2, 1, true) => {
            sums.clear();
            sums.extend(near.iter().map(|&sample| i16::from(sample)));
            widen::<2>(sums, [1, 2], [0, 0], out);
        }
        (2, 2, true) => {
            sums.clear();
            let pairs = near.iter().zip(far);
            sums.extend(pairs.map(|(&near, &far)| 3 * i16::from(near) + i16::from(far)));
            widen::<4>(sums, [8, 7], [8, 7], out);
        }
        _ => {
            for (out, &sample) in out.chunks_exact_mut(h).zip(near) {
                out.fill(sample);
            }
        }
    }
}

/// Twice as wide: between two samples, which have `BITS - 2` more bits than eight, stand two new ones, at a quarter and at
/// three quarters. `round` is added for the new ones left and right of a sample, `ends` for the first and the last.
#[inline(always)]
fn widen<const BITS: u32>(samples: &[i16], round: [i16; 2], ends: [i16; 2], out: &mut [u8]) {
    let n = samples.len();
    let out = &mut out[..2 * n];
    out[0] = ((4 * samples[0] + ends[0]) >> BITS) as u8;
    out[2 * n - 1] = ((4 * samples[n - 1] + ends[1]) >> BITS) as u8;
    let pairs = out[1..2 * n - 1].as_chunks_mut::<2>().0;
    let neighbours = samples.iter().zip(&samples[1..]);
    for (pair, (left, right)) in pairs.iter_mut().zip(neighbours) {
        let first = (3 * left + right + round[1]) as u16 >> BITS;
        let second = (3 * right + left + round[0]) as u16 >> BITS;
        // As one number, and not two: so the compiler makes vectors of it.
        *pair = (first | second << 8).to_le_bytes();
    }
}
