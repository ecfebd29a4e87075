//! Sequential JPEGs of the common kinds, decoded while they are walked: grey, or Y, Cb and Cr of one interleaved scan
//! with 4:4:4, 4:2:2 or 4:2:0 sampling.

use std::rc::Rc;

use super::defect::{Defect, broken};
use super::entropy::Pair;
use super::entropy::stretch::Reader;
use super::entropy::tables::Tables;
use super::frame::{ScanComponent, Scanner};
use super::idct::{flat, transform};
use super::quantisation::Quantisation;
use super::samples::{ComponentSamples, Samples};
use crate::simd::{Avx2, twice};

/// Where the coefficient of a zigzag position goes (the low byte) and what it is multiplied with. What corrupt data put
/// behind the last coefficient goes behind the block.
type Places = [u32; ROOM];

/// Places of a block, and of what lies behind it.
const ROOM: usize = 128;

/// A block of a coding unit.
struct Block {
    component: usize,
    pair: Rc<Pair>,
    /// In rows of eight samples: its place in the first unit, and how far from there one unit, and one row of units, move it.
    first: usize,
    along: usize,
    down: usize,
}

/// A scan that can be decoded here.
pub(super) struct Scan {
    blocks: Vec<Block>,
    /// Of each component.
    places: [Places; 3],
    /// Blocks of each component in a unit, across and down.
    factors: [(usize, usize); 3],
    /// Units per row.
    across: usize,
}

/// Positions in the natural order, by zigzag position (figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The first this many coefficients in zigzag order lie in the first four rows and columns.
const SMALL: usize = 10;

impl Scan {
    /// The scan, if it is of a kind that is decoded here.
    ///
    /// # Errors
    /// [`Defect::Broken`] where a Huffman table that it needs is not defined.
    pub(super) fn new(
        scanner: &Scanner,
        scan: &[ScanComponent],
        tables: &Tables,
        quantisation: &Quantisation,
    ) -> Result<Option<Self>, Defect> {
        let n = scanner.components.len();
        let in_order = scan.iter().enumerate().all(|(i, entry)| entry.0 == i);
        let sampling: Vec<_> = (scanner.components.iter())
            .map(|c| (c.horizontal, c.vertical))
            .collect();
        let common = match sampling[..] {
            [_] => true,
            [(1, 1) | (2, 1) | (2, 2), (1, 1), (1, 1)] => quantisation.is_ycc(scanner),
            _ => false,
        };
        if !scanner.sequential || scan.len() != n || !in_order || !common {
            return Ok(None);
        }
        // Without interleaving the unit is the block, whatever the sampling.
        let largest = if n == 1 { (1, 1) } else { sampling[0] };
        let across = (scanner.frame.width as usize).div_ceil(8 * largest.0);
        let mut found = Self {
            blocks: Vec::new(),
            places: [[64; ROOM]; 3],
            factors: [largest, (1, 1), (1, 1)],
            across,
        };
        for &(component, dc, ac) in scan {
            let Some(quantisation) = quantisation.table(&scanner.components[component]) else {
                return Ok(None);
            };
            let steps = ZIGZAG.iter().zip(quantisation);
            for (place, (position, factor)) in found.places[component].iter_mut().zip(steps) {
                *place = u32::from(*factor) << 8 | u32::from(*position);
            }
            let pair = tables.pair(dc, ac)?;
            let (h, v) = found.factors[component];
            let stride = across * h;
            found.blocks.extend((0..h * v).map(|i| Block {
                component,
                pair: Rc::clone(&pair),
                first: i / h * 8 * stride + i % h,
                along: h,
                down: v * 8 * stride,
            }));
        }
        Ok(Some(found))
    }

    /// Decodes the scan's entropy-coded data, which begin at `at`, and returns where they end.
    pub(super) fn read(
        &self,
        frame: &Scanner,
        tables: &Tables,
        bytes: &[u8],
        at: usize,
        samples: &mut Samples,
    ) -> Result<usize, Defect> {
        let (units, _) = frame.units(0..frame.components.len());
        let (width, height) = (frame.frame.width as usize, frame.frame.height as usize);
        let (h_max, v_max) = self.factors[0];
        samples.n = frame.components.len();
        let components = samples.components.iter_mut().take(samples.n);
        for (component, &(h, v)) in components.zip(&self.factors) {
            component.stride = self.across * h * 8;
            component.width = (width * h).div_ceil(h_max);
            component.height = (height * v).div_ceil(v_max);
            let rows = units / self.across * v * 8;
            component.samples.resize(component.stride * rows, 0);
        }
        let Samples {
            components,
            unstuffed,
            ..
        } = samples;
        frame.each_stretch(
            units,
            tables,
            bytes,
            at,
            unstuffed,
            &mut |done, wanted, padded| decode_stretch(self, done, wanted, padded, components),
        )
    }
}

twice! {
    fn decode_stretch(
        scan: &Scan,
        done: usize,
        wanted: usize,
        padded: &[u8],
        components: &mut [ComponentSamples; 3]
    ) -> Result<usize, Defect> = decode_stretch_in;
}

#[inline(always)]
fn decode_stretch_in(
    avx2: Option<Avx2>,
    scan: &Scan,
    done: usize,
    wanted: usize,
    padded: &[u8],
    components: &mut [ComponentSamples; 3],
) -> Result<usize, Defect> {
    let mut reader = Reader::new(padded);
    let mut means = [0i32; 3];
    let mut coefficients = [0i16; ROOM];
    let (mut x, mut y) = (done % scan.across, done / scan.across);
    for unit in 0..wanted {
        for block in &scan.blocks {
            let Some((difference, mut ends)) = reader.first(&block.pair)? else {
                return Ok(unit);
            };
            let places = &scan.places[block.component];
            let mean = &mut means[block.component];
            *mean = mean.wrapping_add(difference);
            coefficients[0] = mean.wrapping_mul((places[0] >> 8) as i32) as i16;
            let mut k = 1;
            while !ends {
                let Some((value, end)) = reader.rest(&block.pair, &mut k)? else {
                    return Ok(unit);
                };
                let place = places[(k - 1) % ROOM];
                let product = value.wrapping_mul((place >> 8) as i32);
                coefficients[place as usize % ROOM] = product as i16;
                ends = end;
            }
            if !reader.is_whole(k)? {
                return Ok(unit);
            }
            let component = &mut components[block.component];
            let stride = component.stride / 8;
            let rows = component.samples.as_chunks_mut::<8>().0;
            let at = block.first + x * block.along + y * block.down;
            let Some(rows) = rows.get_mut(at..at + 7 * stride + 1) else {
                return broken("a coding unit lies outside the picture");
            };
            if k == 1 {
                let sample = [flat(coefficients[0]); 8];
                for i in 0..8 {
                    rows[i * stride] = sample;
                }
                continue;
            }
            let first: &[i16; 64] = coefficients.first_chunk().expect("the block");
            let pixels = if k <= SMALL {
                transform::<4>(avx2, first)
            } else {
                transform::<8>(avx2, first)
            };
            for (i, pixels) in pixels.into_iter().enumerate() {
                rows[i * stride] = pixels;
            }
            coefficients[..64].fill(0);
        }
        x += 1;
        if x == scan.across {
            (x, y) = (0, y + 1);
        }
    }
    Ok(wanted)
}
