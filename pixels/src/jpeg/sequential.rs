//! Sequential JPEGs, decoded while they are walked: scans of one component or of several, whatever the sampling.

use std::rc::Rc;

use super::defect::{Defect, broken};
use super::entropy::Pair;
use super::entropy::stretch::{Reader, Stretch};
use super::entropy::tables::Tables;
use super::frame::{ScanComponent, Scanner};
use super::idct::{ZIGZAG, flat, transform};
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
    /// In samples: its place in the first unit, and how far from there one unit, and one row of units, move it.
    first: usize,
    along: usize,
    down: usize,
}

/// A scan.
pub(super) struct Scan {
    blocks: Vec<Block>,
    /// Of each component.
    places: [Places; 4],
    /// Units per row.
    across: usize,
}

/// The first this many coefficients in zigzag order lie in the first four rows and columns.
pub(super) const SMALL: usize = 10;

impl Scan {
    /// The scan of these components, whose samples have their shape, and are allocated here.
    ///
    /// # Errors
    /// [`Defect::Broken`] where a table that it needs is not defined.
    pub(super) fn new(
        scanner: &Scanner,
        scan: &[ScanComponent],
        tables: &mut Tables,
        quantisation: &Quantisation,
        samples: &mut Samples,
    ) -> Result<Self, Defect> {
        let (h_max, v_max) = scanner.largest_factors();
        let rows_of_units = (scanner.frame.height as usize).div_ceil(8 * v_max);
        let mut found = Self {
            blocks: Vec::new(),
            places: [[64; ROOM]; 4],
            across: (scanner.frame.width as usize).div_ceil(8 * h_max),
        };
        for &(index, dc, ac) in scan {
            let component = &scanner.components[index];
            let steps = ZIGZAG.iter().zip(quantisation.table(component)?);
            for (place, (position, factor)) in found.places[index].iter_mut().zip(steps) {
                *place = u32::from(*factor) << 8 | u32::from(*position);
            }
            let pair = tables.pair(dc, ac)?;
            let to = &mut samples.components[index];
            let (stride, side) = (to.stride, to.side);
            let (mut h, mut v) = (component.horizontal, component.vertical);
            to.samples.resize(stride * rows_of_units * v * side.1, 0);
            if scan.len() == 1 {
                // Without interleaving the unit is the block, whatever the sampling.
                (h, v) = (1, 1);
                found.across = scanner.blocks(index).0;
            }
            found.blocks.extend((0..h * v).map(|i| Block {
                component: index,
                pair: Rc::clone(&pair),
                first: i / h * side.1 * stride + i % h * side.0,
                along: h * side.0,
                down: v * side.1 * stride,
            }));
        }
        Ok(found)
    }

    /// Decodes the scan's entropy-coded data, which begin at `at`, and returns where they end.
    pub(super) fn read(
        &self,
        frame: &Scanner,
        scan: &[ScanComponent],
        tables: &Tables,
        (bytes, at): (&[u8], usize),
        samples: &mut Samples,
    ) -> Result<usize, Defect> {
        let (units, _) = frame.units(scan.iter().map(|component| component.0));
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
        components: &mut [ComponentSamples; 4]
    ) -> Result<Stretch, Defect> = decode_stretch_in;
}

#[inline(always)]
fn decode_stretch_in(
    avx2: Option<Avx2>,
    scan: &Scan,
    done: usize,
    wanted: usize,
    padded: &[u8],
    components: &mut [ComponentSamples; 4],
) -> Result<Stretch, Defect> {
    let mut reader = Reader::new(padded);
    let mut means = [0i32; 4];
    let mut coefficients = [0i16; ROOM];
    let (mut x, mut y) = (done % scan.across, done / scan.across);
    for unit in 0..wanted {
        for block in &scan.blocks {
            let Some((difference, mut ends)) = reader.first(&block.pair)? else {
                return Ok(reader.read(unit));
            };
            let places = &scan.places[block.component];
            let mean = &mut means[block.component];
            *mean = mean.wrapping_add(difference);
            coefficients[0] = mean.wrapping_mul((places[0] >> 8) as i32) as i16;
            let mut k = 1;
            while !ends {
                let Some((value, end)) = reader.rest(&block.pair, &mut k)? else {
                    return Ok(reader.read(unit));
                };
                let place = places[(k - 1) % ROOM];
                let product = value.wrapping_mul((place >> 8) as i32);
                coefficients[place as usize % ROOM] = product as i16;
                ends = end;
            }
            if !reader.is_whole(k)? {
                return Ok(reader.read(unit));
            }
            let component = &mut components[block.component];
            let at = block.first + x * block.along + y * block.down;
            let first: &[i16; 64] = coefficients.first_chunk().expect("the block");
            let is_inside = if k == 1 {
                component.put(at, [[flat(coefficients[0]); 8]; 8])
            } else if k <= SMALL {
                component.put(at, transform::<4>(avx2, first))
            } else {
                component.put(at, transform::<8>(avx2, first))
            };
            if !is_inside {
                return broken("a coding unit lies outside the picture");
            }
            if k > 1 {
                coefficients[..64].fill(0);
            }
        }
        x += 1;
        if x == scan.across {
            (x, y) = (0, y + 1);
        }
    }
    Ok(reader.read(wanted))
}
