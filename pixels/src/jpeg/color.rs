//! Components as coded → planes of R, G and B, to the last bit as libjpeg does it: chroma is interpolated between the
//! nearest samples ([`upsample`]), and converted by JFIF's equations with sixteen bits behind the point (`jdcolor.c`). CMYK
//! becomes RGB as Pillow has it.

use super::samples::{Colors, Samples};
use crate::simd::{Avx2, twice};
use upsample::upsample;

mod upsample;

/// Pixels converted at once.
const STEP: usize = 32;

impl Samples {
    /// Writes the planes of R, G and B, `[height, width]` each. A grey picture has three alike.
    pub(crate) fn to_rgb(&self, width: usize, planes: [&mut [u8]; 3]) {
        if self.colors == Colors::Grey {
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
        convert(self, width, planes);
    }
}

twice! {
    fn convert(samples: &Samples, width: usize, rgb: [&mut [u8]; 3]) = convert_in;
}

#[inline(always)]
fn convert_in(avx2: Option<Avx2>, samples: &Samples, width: usize, [r, g, b]: [&mut [u8]; 3]) {
    // One row of each component at full width, with room for whole steps.
    let room = width.next_multiple_of(STEP) + STEP;
    let mut full = [vec![0u8; room], vec![0; room], vec![0; room], Vec::new()];
    let n = match samples.colors {
        Colors::Cmyk | Colors::Ycck => 4,
        _ => 3,
    };
    full[3].resize(if n == 4 { room } else { 0 }, 0);
    let is_ycc = matches!(samples.colors, Colors::Ycc | Colors::Ycck);
    let luma_is_full = is_ycc && samples.components[0].expand == (1, 1);
    let mut sums = Vec::with_capacity(width);
    let rows = r.chunks_exact_mut(width).zip(g.chunks_exact_mut(width));
    for (y, ((r, g), b)) in rows.zip(b.chunks_exact_mut(width)).enumerate() {
        let coded = full.iter_mut().zip(&samples.components).take(n);
        for (full, component) in coded.skip(usize::from(luma_is_full)) {
            upsample(component, y, &mut sums, full);
        }
        let [first, second, third, black] = &full;
        if is_ycc {
            let luma = &samples.components[0];
            let luma = match luma_is_full {
                true => &luma.samples[y * luma.stride..][..luma.stride],
                false => first,
            };
            each_step(avx2, luma, [second, third], [&mut *r, &mut *g, &mut *b]);
        } else {
            r.copy_from_slice(&first[..width]);
            g.copy_from_slice(&second[..width]);
            b.copy_from_slice(&third[..width]);
        }
        if n == 4 {
            // Of YCCK the conversion gives C, M and Y, of CMYK they are inverted.
            let inverted = if is_ycc { 0 } else { 255 };
            for row in [r, g, b] {
                for (color, &black) in row.iter_mut().zip(black) {
                    *color = without_ink(*color ^ inverted, black);
                }
            }
        }
    }
}

/// Light that `ink` leaves of `black`, which is inverted: white, less the ink, in Pillow's rounding (`cmyk2rgb`).
#[inline(always)]
fn without_ink(ink: u8, black: u8) -> u8 {
    let product = u16::from(ink) * u16::from(black) + 128;
    black - (((product >> 8) + product) >> 8) as u8
}

/// One row, of which the last step may do some pixels a second time.
#[inline(always)]
fn each_step(avx2: Option<Avx2>, luma: &[u8], [cb, cr]: [&[u8]; 2], [r, g, b]: [&mut [u8]; 3]) {
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

#[cfg(test)]
mod tests;
