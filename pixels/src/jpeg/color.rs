//! Components as coded → planes of R, G and B, to the last bit as libjpeg does it: chroma is interpolated between the
//! nearest samples with weights of 3 and 1 (`jdsample.c`, "fancy upsampling"), and converted by JFIF's equations with
//! sixteen bits behind the point (`jdcolor.c`).

use super::samples::{ComponentSamples, Samples};
use crate::simd::{Avx2, twice};

/// Pixels converted at once.
const STEP: usize = 32;

impl Samples {
    /// Writes the planes of R, G and B, `[height, width]` each. A grey picture has three alike.
    pub(crate) fn to_rgb(&self, width: usize, planes: [&mut [u8]; 3]) {
        if self.n == 1 {
            let y = &self.components[0];
            let rows = y.samples.chunks(y.stride);
            let [red, green, blue] = planes;
            for (row, red) in rows.zip(red.chunks_exact_mut(width)) {
                red.copy_from_slice(&row[..width]);
            }
            green.copy_from_slice(red);
            blue.copy_from_slice(red);
            return;
        }
        convert(&self.components, width, planes);
    }
}

twice! {
    fn convert(components: &[ComponentSamples; 3], width: usize, rgb: [&mut [u8]; 3]) = convert_in;
}

#[inline(always)]
fn convert_in(
    avx2: Option<Avx2>,
    components: &[ComponentSamples; 3],
    width: usize,
    [r, g, b]: [&mut [u8]; 3],
) {
    let [luma, cb, cr] = components;
    // Chroma of one row at full width, with room for whole steps.
    let room = width.next_multiple_of(STEP) + STEP;
    let mut full = [vec![0u8; room], vec![0u8; room]];
    let mut sums = Vec::with_capacity(width);
    let rows = r.chunks_exact_mut(width).zip(g.chunks_exact_mut(width));
    for (y, ((r, g), b)) in rows.zip(b.chunks_exact_mut(width)).enumerate() {
        for (full, chroma) in full.iter_mut().zip([cb, cr]) {
            upsample(chroma, (luma.width, luma.height), y, &mut sums, full);
        }
        let luma = &luma.samples[y * luma.stride..][..luma.stride];
        each_step(avx2, luma, &full, [r, g, b]);
    }
}

/// One row, of which the last step may do some pixels a second time.
#[inline(always)]
fn each_step(avx2: Option<Avx2>, luma: &[u8], [cb, cr]: &[Vec<u8>; 2], [r, g, b]: [&mut [u8]; 3]) {
    let width = r.len();
    if width < STEP {
        let mut padded = [[0; STEP]; 4];
        padded[0][..width].copy_from_slice(&luma[..width]);
        let [luma, red, green, blue] = &mut padded;
        let chroma = [cb, cr].map(|row| row.first_chunk().expect("whole steps"));
        convert_step(avx2, luma, chroma, [red, green, blue]);
        r.copy_from_slice(&padded[1][..width]);
        g.copy_from_slice(&padded[2][..width]);
        b.copy_from_slice(&padded[3][..width]);
        return;
    }
    let mut x = 0;
    while x < width {
        x = x.min(width - STEP);
        convert_step(
            avx2,
            step(luma, x),
            [step(cb, x), step(cr, x)],
            [step_mut(r, x), step_mut(g, x), step_mut(b, x)],
        );
        x += STEP;
    }
}

#[inline(always)]
fn step(row: &[u8], x: usize) -> &[u8; STEP] {
    row[x..].first_chunk().expect("whole steps")
}

#[inline(always)]
fn step_mut(row: &mut [u8], x: usize) -> &mut [u8; STEP] {
    row[x..].first_chunk_mut().expect("whole steps")
}

/// 0.402 and -0.228 with sixteen bits: 1.402 is 1 and the first, 1.772 is 2 and the second.
const RED: i16 = 26345;
const BLUE: i16 = -14942;
/// -0.34414 and 0.28586 with sixteen bits: -0.71414 is the second less 1.
const GREEN: [i16; 2] = [-22554, 18734];

/// [`STEP`] pixels.
#[inline(always)]
fn convert_step(
    avx2: Option<Avx2>,
    luma: &[u8; STEP],
    [cb, cr]: [&[u8; STEP]; 2],
    [red, green, blue]: [&mut [u8; STEP]; 3],
) {
    #[cfg(target_arch = "x86_64")]
    if avx2.is_some() {
        // SAFETY: an `Avx2` proves that the processor has AVX2.
        let rgb = unsafe { avx2::convert_step(luma, cb, cr) };
        return [*red, *green, *blue] = rgb;
    }
    // (a · c + 2^15) >> 16
    let rounded = |a: i16, c: i16| ((i32::from(a) * i32::from(c) + (1 << 15)) >> 16) as i16;
    let clamped = |v: i16| v.clamp(0, 255) as u8;
    for i in 0..STEP {
        let [y, cb, cr] = [luma[i], cb[i], cr[i]].map(i16::from);
        let (cb, cr) = (cb - 128, cr - 128);
        red[i] = clamped(y + cr + rounded(cr, RED));
        blue[i] = clamped(y + 2 * cb + rounded(cb, BLUE));
        let [cb_part, cr_part] = GREEN.map(i32::from);
        let sum = i32::from(cb) * cb_part + i32::from(cr) * cr_part + (1 << 15);
        green[i] = clamped(y + (sum >> 16) as i16 - cr);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BLUE, GREEN, RED, STEP};

    /// R, G and B of [`STEP`] pixels.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn convert_step(
        luma: &[u8; STEP],
        cb: &[u8; STEP],
        cr: &[u8; STEP],
    ) -> [[u8; STEP]; 3] {
        let bytes = |row: &[u8; STEP]| {
            // SAFETY: thirty-two bytes can be read there.
            unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
        };
        let zero = _mm256_setzero_si256();
        // Pixels 0 to 7 and 16 to 23, then the others: so do the halves of a vector unpack, and pack again.
        let outer = |v| _mm256_unpacklo_epi8(v, zero);
        let inner = |v| _mm256_unpackhi_epi8(v, zero);
        let centred = |v| _mm256_sub_epi16(v, _mm256_set1_epi16(128));
        let (y, cb, cr) = (bytes(luma), bytes(cb), bytes(cr));
        let [r0, g0, b0] = sixteen(outer(y), centred(outer(cb)), centred(outer(cr)));
        let [r1, g1, b1] = sixteen(inner(y), centred(inner(cb)), centred(inner(cr)));
        [(r0, r1), (g0, g1), (b0, b1)].map(|(outer, inner)| {
            let mut out = [0; STEP];
            // SAFETY: thirty-two bytes can be written there.
            unsafe {
                _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_packus_epi16(outer, inner))
            };
            out
        })
    }

    /// R, G and B, not yet clamped, of sixteen pixels.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sixteen(y: __m256i, cb: __m256i, cr: __m256i) -> [__m256i; 3] {
        // ((2 · a · c) >> 16 + 1) >> 1 is (a · c + 2^15) >> 16.
        let rounded = |a, c| {
            let product = _mm256_mulhi_epi16(_mm256_add_epi16(a, a), _mm256_set1_epi16(c));
            _mm256_srai_epi16::<1>(_mm256_add_epi16(product, _mm256_set1_epi16(1)))
        };
        let red = _mm256_add_epi16(_mm256_add_epi16(y, cr), rounded(cr, RED));
        let twice = _mm256_add_epi16(cb, cb);
        let blue = _mm256_add_epi16(_mm256_add_epi16(y, twice), rounded(cb, BLUE));
        let both = i32::from(GREEN[1]) << 16 | i32::from(GREEN[0] as u16);
        let sum = |pairs| {
            let products = _mm256_madd_epi16(pairs, _mm256_set1_epi32(both));
            let half = _mm256_set1_epi32(1 << 15);
            _mm256_srai_epi32::<16>(_mm256_add_epi32(products, half))
        };
        let sums = _mm256_packs_epi32(
            sum(_mm256_unpacklo_epi16(cb, cr)),
            sum(_mm256_unpackhi_epi16(cb, cr)),
        );
        let green = _mm256_add_epi16(_mm256_sub_epi16(y, cr), sums);
        [red, green, blue]
    }
}

/// One row of a chroma component at the size of a picture of `width` × `height` pixels. `out` may be written beyond;
/// `sums` is a buffer, whatever it holds.
#[inline(always)]
fn upsample(
    chroma: &ComponentSamples,
    (width, height): (usize, usize),
    y: usize,
    sums: &mut Vec<i16>,
    out: &mut [u8],
) {
    let n = chroma.width;
    let row = |row: usize| &chroma.samples[row * chroma.stride..][..n];
    if n == width && chroma.height == height {
        return out[..n].copy_from_slice(row(y));
    }
    let v = if chroma.height == height { 1 } else { 2 };
    if n <= 2 {
        // libjpeg does not interpolate rows of one or two samples.
        for (i, &sample) in row(y / v).iter().enumerate() {
            out[2 * i..2 * i + 2].fill(sample);
        }
        return;
    }
    sums.clear();
    if v == 1 {
        sums.extend(row(y).iter().map(|&sample| i16::from(sample)));
        return widen::<2>(sums, [1, 2], [0, 0], out);
    }
    let far = match y % 2 {
        0 => (y / 2).saturating_sub(1),
        _ => (y / 2 + 1).min(chroma.height - 1),
    };
    let pairs = row(y / 2).iter().zip(row(far));
    sums.extend(pairs.map(|(&near, &far)| 3 * i16::from(near) + i16::from(far)));
    widen::<4>(sums, [8, 7], [8, 7], out);
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

#[cfg(test)]
mod tests;
