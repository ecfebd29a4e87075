//! The two passes of a resize, row by row of the output: first its rows of the source are added up, then that sum is
//! shrunk (or stretched) along. Between the two, eight bits behind the point are kept. Integers only, and both ways through
//! this file, with AVX2 and without, do the same arithmetic: every processor finds the same pixels.

use super::weights::{GROUP, Horizontal, Vertical};
use crate::simd::{Avx2, twice};

/// Columns that are added up at once.
pub(super) const STEP: usize = 32;
/// Bits that the second pass must take off: those of its weights and those between the passes.
const BITS: u32 = 14 + 8;

/// A resize of three planes: what it reads, how, and room for one row.
pub(super) struct Resize<'a> {
    /// R, G and B from the crop's first pixel on; rows can be read [`STEP`] beyond their end.
    pub(super) planes: [&'a [u8]; 3],
    /// Pixels from one row of a plane to the next.
    pub(super) stride: usize,
    /// Columns that are read.
    pub(super) width: usize,
    pub(super) vertical: &'a Vertical,
    pub(super) horizontal: &'a Horizontal,
}

/// One row between the passes, and the three of the result.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Sums of the first pass less 2^15.
    sums: Vec<i16>,
    colors: [Vec<u8>; 3],
}

twice! {
    /// Fills the rows of `out`, which are `pitch` bytes apart, with `width` RGB pixels each.
    pub(super) fn resize(
        job: &Resize<'_>,
        rows: &mut Rows,
        out: &mut [u8],
        pitch: usize,
        width: usize,
    ) = resize_in;
}

#[inline(always)]
fn resize_in(
    avx2: Option<Avx2>,
    job: &Resize<'_>,
    rows: &mut Rows,
    out: &mut [u8],
    pitch: usize,
    width: usize,
) {
    let Rows { sums, colors } = rows;
    let columns = job.width.next_multiple_of(STEP);
    // What lies beyond the columns has weight zero.
    sums.resize(columns.max(job.horizontal.reach()), 0);
    for color in colors.iter_mut() {
        color.resize(job.horizontal.outputs(), 0);
    }
    for ((first, weights), line) in job.vertical.rows().zip(out.chunks_mut(pitch)) {
        for (plane, color) in job.planes.iter().zip(colors.iter_mut()) {
            let source = &plane[first * job.stride..];
            down_in(avx2, source, job.stride, weights, &mut sums[..columns]);
            along_in(avx2, job.horizontal, sums, color);
        }
        let [red, green, blue] = colors.each_ref().map(|color| &color[..width]);
        let pixels = line[..width * 3].chunks_exact_mut(3);
        for (((pixel, &red), &green), &blue) in pixels.zip(red).zip(green).zip(blue) {
            pixel.copy_from_slice(&[red, green, blue]);
        }
    }
}

/// Adds up rows, `stride` apart, by their weights.
#[inline(always)]
fn down_in(avx2: Option<Avx2>, rows: &[u8], stride: usize, weights: &[u16], sums: &mut [i16]) {
    if weights.len() > FEW {
        return down_many(rows, stride, weights, sums);
    }
    #[cfg(target_arch = "x86_64")]
    if avx2.is_some() {
        // SAFETY: an `Avx2` proves that the processor has AVX2.
        return unsafe { avx2::down(rows, stride, weights, sums) };
    }
    down(rows, stride, weights, sums);
}

/// A row's outputs from the sums of its columns.
#[inline(always)]
fn along_in(avx2: Option<Avx2>, filter: &Horizontal, sums: &[i16], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if avx2.is_some() {
        // SAFETY: an `Avx2` proves that the processor has AVX2.
        return unsafe { avx2::along(filter, sums, out) };
    }
    along(filter, sums, out);
}

/// The most rows whose products may each be cut off at the point's eighth bit: they lose 1/32 of a level, give or take.
const FEW: usize = 16;

/// As [`down_in`], for many rows.
#[inline(always)]
fn down_many(rows: &[u8], stride: usize, weights: &[u16], sums: &mut [i16]) {
    for (x, sums) in (0..).step_by(STEP).zip(sums.as_chunks_mut::<STEP>().0) {
        let mut sum = [1u32 << 7; STEP];
        for (t, &weight) in weights.iter().enumerate() {
            let row: &[u8; STEP] = rows[t * stride + x..].first_chunk().expect("room beyond");
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += u32::from(value) * u32::from(weight);
            }
        }
        for (out, sum) in sums.iter_mut().zip(sum) {
            *out = ((sum >> 8) as u16 ^ 0x8000) as i16;
        }
    }
}

/// As [`down_in`], for at most [`FEW`] rows.
#[inline(always)]
fn down(rows: &[u8], stride: usize, weights: &[u16], sums: &mut [i16]) {
    let lost = half_lost(weights);
    for (x, sums) in (0..).step_by(STEP).zip(sums.as_chunks_mut::<STEP>().0) {
        let mut sum = [lost; STEP];
        for (t, &weight) in weights.iter().enumerate() {
            let row: &[u8; STEP] = rows[t * stride + x..].first_chunk().expect("room beyond");
            for (sum, &value) in sum.iter_mut().zip(row) {
                let product = ((u32::from(value) << 8) * u32::from(weight)) >> 16;
                *sum = sum.wrapping_add(product as u16);
            }
        }
        for (out, sum) in sums.iter_mut().zip(sum) {
            *out = (sum ^ 0x8000) as i16;
        }
    }
}

/// What is added to a sum of products, each of which was cut off at the point's eighth bit: half a bit for each.
#[inline(always)]
fn half_lost(weights: &[u16]) -> u16 {
    weights.len().div_ceil(2) as u16
}

/// As [`along_in`].
fn along(filter: &Horizontal, sums: &[i16], out: &mut [u8]) {
    for ((firsts, weights), out) in filter.groups().zip(out.chunks_exact_mut(GROUP)) {
        for (i, (&first, out)) in firsts.iter().zip(out).enumerate() {
            let source = sums[first as usize..][..filter.taps()].chunks_exact(GROUP);
            let weights = weights
                .iter()
                .skip(i % 4)
                .step_by(4)
                .map(|pair| pair[i / 4]);
            let products = source.zip(weights).map(|(sums, weights)| {
                let pairs = sums.iter().zip(weights);
                pairs
                    .map(|(&sum, weight)| i32::from(sum) * i32::from(weight))
                    .sum::<i32>()
            });
            *out = rounded(products.sum());
        }
    }
}

/// What the sums lack (2^15, and the weights sum to 2^14), and a half.
const OFFSET: i32 = (1 << 29) + (1 << (BITS - 1));

fn rounded(sum: i32) -> u8 {
    ((sum + OFFSET) >> BITS).clamp(0, 255) as u8
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::super::weights::{GROUP, Horizontal};
    use super::{BITS, OFFSET, STEP, half_lost};

    /// As [`super::down`].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn down(rows: &[u8], stride: usize, weights: &[u16], sums: &mut [i16]) {
        let steps = sums.as_chunks_mut::<STEP>().0;
        assert!((weights.len() - 1) * stride + steps.len() * STEP <= rows.len());
        let lost = _mm256_set1_epi16(half_lost(weights) as i16);
        let (zero, sign) = (_mm256_setzero_si256(), _mm256_set1_epi16(i16::MIN));
        for (i, out) in steps.iter_mut().enumerate() {
            // Columns 0 to 7 and 16 to 23; 8 to 15 and 24 to 31: so do the halves of a vector unpack.
            let (mut outer, mut inner) = (lost, lost);
            for (t, &weight) in weights.iter().enumerate() {
                // SAFETY: it was made sure above that as many bytes follow, in the last row and in the last step too.
                let row =
                    unsafe { _mm256_loadu_si256(rows.as_ptr().add(t * stride + i * STEP).cast()) };
                let weight = _mm256_set1_epi16(weight as i16);
                // A byte above a zero is the byte times 256.
                let low = _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, row), weight);
                let high = _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, row), weight);
                outer = _mm256_add_epi16(outer, low);
                inner = _mm256_add_epi16(inner, high);
            }
            let (outer, inner) = (_mm256_xor_si256(outer, sign), _mm256_xor_si256(inner, sign));
            let (left, right) = out.split_at_mut(STEP / 2);
            // SAFETY: sixteen numbers of two bytes are written to each half.
            unsafe {
                let halves = _mm256_permute2x128_si256::<0x20>(outer, inner);
                _mm256_storeu_si256(left.as_mut_ptr().cast(), halves);
                let halves = _mm256_permute2x128_si256::<0x31>(outer, inner);
                _mm256_storeu_si256(right.as_mut_ptr().cast(), halves);
            }
        }
    }

    /// As [`super::along`].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn along(filter: &Horizontal, sums: &[i16], out: &mut [u8]) {
        assert!(filter.reach() <= sums.len());
        let eight = |at: usize| {
            // SAFETY: a filter takes eight numbers from places before its reach alone.
            unsafe { _mm_loadu_si128(sums.as_ptr().add(at).cast()) }
        };
        for ((firsts, weights), out) in filter.groups().zip(out.as_chunks_mut::<GROUP>().0) {
            let mut parts = [_mm256_setzero_si256(); 4];
            for (octet, weights) in weights.as_chunks::<4>().0.iter().enumerate() {
                for (i, part) in parts.iter_mut().enumerate() {
                    let low = eight(firsts[i] as usize + octet * GROUP);
                    let high = eight(firsts[i + 4] as usize + octet * GROUP);
                    // SAFETY: a pair of eight weights is thirty-two bytes.
                    let weights = unsafe { _mm256_loadu_si256(weights[i].as_ptr().cast()) };
                    let products = _mm256_madd_epi16(_mm256_set_m128i(high, low), weights);
                    *part = _mm256_add_epi32(*part, products);
                }
            }
            let [a, b, c, d] = parts;
            let sum = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let sum = _mm256_add_epi32(sum, _mm256_set1_epi32(OFFSET));
            let sum = _mm256_srai_epi32::<{ BITS as i32 }>(sum);
            let high = _mm256_extracti128_si256::<1>(sum);
            let narrow = _mm_packs_epi32(_mm256_castsi256_si128(sum), high);
            let bytes = _mm_packus_epi16(narrow, narrow);
            *out = _mm_cvtsi128_si64(bytes).to_le_bytes();
        }
    }
}
