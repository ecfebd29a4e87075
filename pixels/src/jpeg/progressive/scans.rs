//! The entropy-coded data of progressive scans, stretch by stretch (annex G of T.81).

use super::planes::Plane;
use crate::jpeg::defect::Defect;
use crate::jpeg::entropy::huffman::Huffman;
use crate::jpeg::entropy::stretch::{Reader, Stretch};
use crate::jpeg::idct::ZIGZAG;
use crate::jpeg::samples::Block;
use crate::simd::{Avx2, twice};

/// A scan of DC coefficients.
pub(super) struct DcScan<'a> {
    /// Per component: its number in the frame, its table (none is needed to refine), and its blocks in a unit.
    pub(super) components: Vec<(usize, Option<&'a Huffman>, usize)>,
    /// The lowest bit that it brings.
    pub(super) low: u8,
    /// Units per row.
    pub(super) across: usize,
}

/// A scan of a band of AC coefficients, whose unit is the block of one component.
pub(super) struct Band<'a> {
    pub(super) table: &'a Huffman,
    /// First and last coefficient.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Whether it adds a bit to what earlier scans brought.
    pub(super) refines: bool,
    /// The lowest bit that it brings.
    pub(super) low: u8,
}

twice! {
    /// Reads at most `wanted` units, the first of which is unit `done`.
    pub(super) fn read_dc(
        scan: &DcScan<'_>,
        planes: &mut [Plane],
        done: usize,
        wanted: usize,
        padded: &[u8],
    ) -> Result<Stretch, Defect> = read_dc_in;
}

#[inline(always)]
fn read_dc_in(
    _: Option<Avx2>,
    scan: &DcScan<'_>,
    planes: &mut [Plane],
    done: usize,
    wanted: usize,
    padded: &[u8],
) -> Result<Stretch, Defect> {
    let mut reader = Reader::new(padded);
    let mut means = [0i16; 4];
    let (mut x, mut y) = (done % scan.across, done / scan.across);
    for unit in 0..wanted {
        for &(index, table, blocks) in &scan.components {
            for i in 0..blocks {
                let dc = planes[index].dc((x, y), (i, blocks));
                let Some(table) = table else {
                    *dc |= (reader.take(1) as i16) << scan.low;
                    continue;
                };
                let Some(size) = reader.symbol(table)? else {
                    return Ok(reader.read(unit));
                };
                let mean = &mut means[index];
                *mean = mean.wrapping_add(reader.value(size));
                *dc = *mean << scan.low;
            }
        }
        if reader.is_beyond() {
            return Ok(reader.read(unit));
        }
        x += 1;
        if x == scan.across {
            (x, y) = (0, y + 1);
        }
    }
    Ok(reader.read(wanted))
}

twice! {
    /// Reads at most `wanted` blocks, the first of which is block `done`.
    pub(super) fn read_band(
        band: &Band<'_>,
        plane: &mut Plane,
        done: usize,
        wanted: usize,
        padded: &[u8],
    ) -> Result<Stretch, Defect> = read_band_in;
}

#[inline(always)]
fn read_band_in(
    _: Option<Avx2>,
    band: &Band<'_>,
    plane: &mut Plane,
    done: usize,
    wanted: usize,
    padded: &[u8],
) -> Result<Stretch, Defect> {
    let reader = Reader::new(padded);
    let (present, blocks) = plane.blocks_from(done);
    match (band.refines, blocks.is_empty()) {
        (false, false) => first::<true>(band, reader, wanted, present, blocks),
        (false, true) => first::<false>(band, reader, wanted, present, blocks),
        (true, false) => refine::<true>(band, reader, wanted, present, blocks),
        (true, true) => refine::<false>(band, reader, wanted, present, blocks),
    }
}

const BEHIND: &str = "a coefficient lies behind its band";

/// A band's first scan (G.1.2.2). Coefficients are `KEPT`, or it is noted which are not zero.
#[inline(always)]
fn first<const KEPT: bool>(
    band: &Band<'_>,
    mut reader: Reader<'_>,
    wanted: usize,
    present: &mut [u64],
    blocks: &mut [Block],
) -> Result<Stretch, Defect> {
    let mut unit = 0;
    while unit < wanted {
        let mut k = band.first;
        // This block, and those behind it that have nothing in this band (EOBRUN).
        let mut ended = 1;
        while k <= band.last {
            let Some(symbol) = reader.symbol(band.table)? else {
                return Ok(reader.read(unit));
            };
            let (zeros, size) = (symbol >> 4, symbol & 15);
            if size == 0 {
                if zeros == 15 {
                    k += 16;
                    continue;
                }
                ended = (1 << zeros) + reader.take(zeros);
                break;
            }
            k += zeros;
            if k > band.last {
                return reader.wrong(unit, BEHIND);
            }
            let value = reader.value(size) << band.low;
            present[unit] |= u64::from(value != 0) << k;
            if KEPT {
                blocks[unit][usize::from(ZIGZAG[k])] = value;
            }
            k += 1;
        }
        if reader.is_beyond() {
            return Ok(reader.read(unit));
        }
        unit += ended;
    }
    Ok(reader.read(wanted))
}

/// A band's refining scan (G.1.2.3).
#[inline(always)]
fn refine<const KEPT: bool>(
    band: &Band<'_>,
    mut reader: Reader<'_>,
    wanted: usize,
    present: &mut [u64],
    blocks: &mut [Block],
) -> Result<Stretch, Defect> {
    let one = 1i16 << band.low;
    let mut none = [0; 64];
    let mut ended = 0;
    for unit in 0..wanted {
        let block = if KEPT { &mut blocks[unit] } else { &mut none };
        let before = present[unit];
        let mut k = band.first;
        while ended == 0 && k <= band.last {
            let Some(symbol) = reader.symbol(band.table)? else {
                return Ok(reader.read(unit));
            };
            let (zeros, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            match size {
                0 if zeros == 15 => {}
                0 => {
                    ended = (1 << zeros) + reader.take(zeros);
                    break;
                }
                1 => new = if reader.take(1) == 1 { one } else { -one },
                _ => return reader.wrong(unit, "a refining scan brings more than one bit"),
            }
            // The zero behind so many others is the new coefficient's place.
            let mut free = !before & bits(k, band.last);
            for _ in 0..zeros {
                free &= free.wrapping_sub(1);
            }
            let place = match free {
                0 => band.last + 1,
                _ => free.trailing_zeros() as usize,
            };
            correct::<KEPT>(&mut reader, block, before & bits(k, place - 1), one);
            if new != 0 {
                if place > band.last {
                    return reader.wrong(unit, BEHIND);
                }
                present[unit] |= 1 << place;
                block[usize::from(ZIGZAG[place])] = new;
            }
            k = place + 1;
        }
        if ended > 0 {
            ended -= 1;
            correct::<KEPT>(&mut reader, block, before & bits(k, band.last), one);
        }
        if reader.is_beyond() {
            return Ok(reader.read(unit));
        }
    }
    Ok(reader.read(wanted))
}

/// Ones from `first` to `last`, which is at most 63.
#[inline(always)]
fn bits(first: usize, last: usize) -> u64 {
    if first > last {
        return 0;
    }
    (u64::MAX << first) & (u64::MAX >> (63 - last))
}

/// Adds a bit, `one` or nothing, to these coefficients.
#[inline(always)]
fn correct<const KEPT: bool>(reader: &mut Reader<'_>, block: &mut Block, mut which: u64, one: i16) {
    if !KEPT {
        return reader.pass(which.count_ones() as usize);
    }
    while which != 0 {
        let n = which.count_ones().min(32);
        let mut window = reader.window();
        for _ in 0..n {
            let c = &mut block[usize::from(ZIGZAG[which.trailing_zeros() as usize])];
            if window >> 63 == 1 && *c & one == 0 {
                *c = c.wrapping_add(if *c < 0 { -one } else { one });
            }
            window <<= 1;
            which &= which - 1;
        }
        reader.skip(n as usize);
    }
}
