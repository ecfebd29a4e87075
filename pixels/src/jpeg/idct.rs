//! The inverse DCT of 8 × 8 coefficients, in integers: the algorithm of Loeffler, Ligtenberg and Moschytz with the
//! constants, the intermediate precision and the roundings of libjpeg's `jidctint.c` ("islow"), so that samples are
//! libjpeg's to the last bit. Eight columns, then eight rows, are transformed at once.
//!
//! The algorithm stands here once; what it is made of (eight numbers, and what is done with them) there is twice, in plain
//! Rust and in AVX2. All arithmetic is on integers and wraps, so that both find the same bits whatever the coefficients.

use crate::simd::Avx2;

/// Bits behind the point of the constants.
const CONST_BITS: i32 = 13;
/// Bits behind the point between the two passes.
const PASS1_BITS: i32 = 2;
/// What the first pass, and the second, take off.
const FIRST: i32 = CONST_BITS - PASS1_BITS;
const SECOND: i32 = CONST_BITS + PASS1_BITS + 3;
/// Samples are centred at 128.
const CENTRE: i32 = 128;

/// Positions in the natural order, by zigzag position (figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Defines `transform` from `Lanes`, `load`, `zero`, `add`, `sub`, `times`, `shifted_left`, `shifted_right`, `splat`,
/// `transposed` and `samples`.
macro_rules! islow {
    ($(#[$attribute:meta])*) => {
        /// One dimension of the transform, eight at once. `bits` are taken off, and `offset` is added before.
        $(#[$attribute])*
        fn pass<const BITS: i32>(x: [Lanes; 8], offset: i32) -> [Lanes; 8] {
            let offset = splat(offset);
            let z1 = times(add(x[2], x[6]), 4433);
            let even2 = add(z1, times(x[6], -15137));
            let even3 = add(z1, times(x[2], 6270));
            let even0 = add(shifted_left::<CONST_BITS>(add(x[0], x[4])), offset);
            let even1 = add(shifted_left::<CONST_BITS>(sub(x[0], x[4])), offset);
            let (e0, e3) = (add(even0, even3), sub(even0, even3));
            let (e1, e2) = (add(even1, even2), sub(even1, even2));

            let (z1, z2) = (add(x[7], x[1]), add(x[5], x[3]));
            let (z3, z4) = (add(x[7], x[3]), add(x[5], x[1]));
            let z5 = times(add(z3, z4), 9633);
            let (z1, z2) = (times(z1, -7373), times(z2, -20995));
            let z3 = add(times(z3, -16069), z5);
            let z4 = add(times(z4, -3196), z5);
            let o0 = add(times(x[1], 12299), add(z1, z4));
            let o1 = add(times(x[3], 25172), add(z2, z3));
            let o2 = add(times(x[5], 16819), add(z2, z4));
            let o3 = add(times(x[7], 2446), add(z1, z3));
            [
                shifted_right::<BITS>(add(e0, o0)),
                shifted_right::<BITS>(add(e1, o1)),
                shifted_right::<BITS>(add(e2, o2)),
                shifted_right::<BITS>(add(e3, o3)),
                shifted_right::<BITS>(sub(e3, o3)),
                shifted_right::<BITS>(sub(e2, o2)),
                shifted_right::<BITS>(sub(e1, o1)),
                shifted_right::<BITS>(sub(e0, o0)),
            ]
        }

        /// See [`super::transform`].
        $(#[$attribute])*
        pub(super) fn transform<const KEPT: usize>(coefficients: &[i16; 64]) -> [[u8; 8]; 8] {
            let mut columns = [splat(0); 8];
            for (v, column) in columns.iter_mut().take(KEPT).enumerate() {
                *column = load(coefficients, v);
            }
            let mut rows = transposed(pass::<FIRST>(columns, 1 << (FIRST - 1)));
            for row in rows.iter_mut().skip(KEPT) {
                // It is zero already; now the compiler knows.
                *row = splat(0);
            }
            samples(pass::<SECOND>(rows, (1 << (SECOND - 1)) + (CENTRE << SECOND)))
        }
    };
}

/// The sample of a block that has a DC coefficient alone.
#[inline(always)]
pub(super) fn flat(dc: i16) -> u8 {
    (((i32::from(dc) + 4) >> 3) + CENTRE).clamp(0, 255) as u8
}

/// Dequantised coefficients, `[vertical frequency, horizontal frequency]` → samples, `[8, 8]`. Coefficients outside the
/// first `KEPT` (4 or 8) rows and columns must be zero.
#[inline(always)]
pub(super) fn transform<const KEPT: usize>(
    avx2: Option<Avx2>,
    coefficients: &[i16; 64],
) -> [[u8; 8]; 8] {
    #[cfg(target_arch = "x86_64")]
    if avx2.is_some() {
        // SAFETY: an `Avx2` proves that the processor has AVX2.
        return unsafe { avx2::transform::<KEPT>(coefficients) };
    }
    plain::transform::<KEPT>(coefficients)
}

mod plain {
    use super::*;

    type Lanes = [i32; 8];

    #[inline(always)]
    fn each(f: impl Fn(usize) -> i32) -> Lanes {
        let mut lanes = [0; 8];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = f(i);
        }
        lanes
    }

    #[inline(always)]
    fn splat(value: i32) -> Lanes {
        [value; 8]
    }

    #[inline(always)]
    fn load(coefficients: &[i16; 64], row: usize) -> Lanes {
        each(|i| i32::from(coefficients[row * 8 + i]))
    }

    #[inline(always)]
    fn add(a: Lanes, b: Lanes) -> Lanes {
        each(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn sub(a: Lanes, b: Lanes) -> Lanes {
        each(|i| a[i].wrapping_sub(b[i]))
    }

    #[inline(always)]
    fn times(a: Lanes, constant: i32) -> Lanes {
        each(|i| a[i].wrapping_mul(constant))
    }

    #[inline(always)]
    fn shifted_left<const BITS: i32>(a: Lanes) -> Lanes {
        each(|i| a[i] << BITS)
    }

    #[inline(always)]
    fn shifted_right<const BITS: i32>(a: Lanes) -> Lanes {
        each(|i| a[i] >> BITS)
    }

    #[inline(always)]
    fn transposed(a: [Lanes; 8]) -> [Lanes; 8] {
        let mut turned = [[0; 8]; 8];
        for (i, lanes) in a.iter().enumerate() {
            for (turned, &lane) in turned.iter_mut().zip(lanes) {
                turned[i] = lane;
            }
        }
        turned
    }

    /// Columns of samples → rows of bytes.
    #[inline(always)]
    fn samples(columns: [Lanes; 8]) -> [[u8; 8]; 8] {
        transposed(columns).map(|row| row.map(|sample| sample.clamp(0, 255) as u8))
    }

    islow! {#[inline]}
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::*;

    type Lanes = __m256i;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn splat(value: i32) -> Lanes {
        _mm256_set1_epi32(value)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(coefficients: &[i16; 64], row: usize) -> Lanes {
        let row: &[i16; 8] = &coefficients.as_chunks().0[row];
        // SAFETY: a row is sixteen bytes.
        _mm256_cvtepi16_epi32(unsafe { _mm_loadu_si128(row.as_ptr().cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(a: Lanes, b: Lanes) -> Lanes {
        _mm256_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn sub(a: Lanes, b: Lanes) -> Lanes {
        _mm256_sub_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn times(a: Lanes, constant: i32) -> Lanes {
        _mm256_mullo_epi32(a, splat(constant))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn shifted_left<const BITS: i32>(a: Lanes) -> Lanes {
        _mm256_slli_epi32::<BITS>(a)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn shifted_right<const BITS: i32>(a: Lanes) -> Lanes {
        _mm256_srai_epi32::<BITS>(a)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed(a: [Lanes; 8]) -> [Lanes; 8] {
        let pairs = |a, b| (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let fours = |a, b| (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        let (a0, a1) = pairs(a[0], a[1]);
        let (a2, a3) = pairs(a[2], a[3]);
        let (a4, a5) = pairs(a[4], a[5]);
        let (a6, a7) = pairs(a[6], a[7]);
        let ((b0, b1), (b2, b3)) = (fours(a0, a2), fours(a1, a3));
        let ((b4, b5), (b6, b7)) = (fours(a4, a6), fours(a5, a7));
        let low = |a, b| _mm256_permute2x128_si256::<0x20>(a, b);
        let high = |a, b| _mm256_permute2x128_si256::<0x31>(a, b);
        [
            low(b0, b4),
            low(b1, b5),
            low(b2, b6),
            low(b3, b7),
            high(b0, b4),
            high(b1, b5),
            high(b2, b6),
            high(b3, b7),
        ]
    }

    /// Columns of samples → rows of bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn samples(columns: [Lanes; 8]) -> [[u8; 8]; 8] {
        let [c0, c1, c2, c3, c4, c5, c6, c7] = columns;
        // Bytes of four columns, rows 0 to 3 in the low half and 4 to 7 in the high, then row by row.
        let turn = _mm256_broadcastsi128_si256(_mm_setr_epi8(
            0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
        ));
        let four = |a, b, c, d| {
            let words = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
            _mm256_shuffle_epi8(_mm256_packus_epi16(words.0, words.1), turn)
        };
        let (left, right) = (four(c0, c1, c2, c3), four(c4, c5, c6, c7));
        let first = _mm256_unpacklo_epi32(left, right);
        let second = _mm256_unpackhi_epi32(left, right);
        let row = |value: i64| value.to_le_bytes();
        [
            row(_mm256_extract_epi64::<0>(first)),
            row(_mm256_extract_epi64::<1>(first)),
            row(_mm256_extract_epi64::<0>(second)),
            row(_mm256_extract_epi64::<1>(second)),
            row(_mm256_extract_epi64::<2>(first)),
            row(_mm256_extract_epi64::<3>(first)),
            row(_mm256_extract_epi64::<2>(second)),
            row(_mm256_extract_epi64::<3>(second)),
        ]
    }

    islow! {#[inline] #[target_feature(enable = "avx2")]}
}

#[cfg(test)]
mod tests;
