//! Progressive JPEGs (SOF2, annex G of T.81): every scan's entropy-coded data are read to the last bit, its coefficients
//! are kept, and it is noted which bits of which of them the scans have brought.
//!
//! A file is complete when every coefficient of every component is there to its lowest bit. That is stricter than T.81,
//! which lets an encoder leave bits out for good: encoders do not, and a file cut between two scans looks just so.

use super::defect::{Defect, broken};
use super::entropy::huffman::Huffman;
use super::entropy::stretch::Stretch;
use super::entropy::tables::Tables;
use super::frame::Scanner;
use super::quantisation::Quantisation;
use super::samples::Samples;
use crate::dc_image::DcImage;
use bits::Bits;
use blocks::Plane;

mod bits;
mod blocks;

/// A coefficient that no scan has brought.
const ABSENT: u8 = u8::MAX;

/// What the scans so far have brought.
pub(super) struct Progress {
    /// Per component and coefficient (zigzag order): the lowest bit brought, or [`ABSENT`].
    lowest: Vec<[u8; 64]>,
    planes: Vec<Plane>,
}

/// A scan header (B.2.3).
struct Scan<'a> {
    /// Per component: its number in the frame, its DC table and its AC table.
    components: Vec<(usize, Option<&'a Huffman>, Option<&'a Huffman>)>,
    /// First and last coefficient.
    band: (usize, usize),
    /// Whether it adds a bit to what earlier scans brought.
    refines: bool,
    /// The lowest bit that it brings.
    low: u8,
    /// Units per row.
    across: usize,
}

impl Progress {
    /// Nothing yet of a frame's components.
    pub(super) fn new(frame: &Scanner) -> Self {
        Self {
            lowest: vec![[ABSENT; 64]; frame.components.len()],
            planes: (0..frame.components.len())
                .map(|index| Plane::new(frame, index))
                .collect(),
        }
    }

    /// Whether nothing is missing.
    pub(super) fn complete(&self) -> bool {
        self.lowest.iter().flatten().all(|&bit| bit == 0)
    }

    /// Reads the scan whose header is `body` and whose data begin at `at`; returns where they end.
    pub(super) fn read_scan(
        &mut self,
        frame: &Scanner,
        tables: &Tables,
        quantisation: &Quantisation,
        body: &[u8],
        (bytes, at): (&[u8], usize),
        unstuffed: &mut Vec<u8>,
    ) -> Result<usize, Defect> {
        let scan = self.begin(frame, tables, quantisation, body)?;
        let (units, blocks_of) = frame.units(scan.components.iter().map(|component| component.0));
        frame.each_stretch(
            units,
            tables,
            bytes,
            at,
            unstuffed,
            &mut |done, wanted, padded| {
                let mut bits = Bits::new(padded);
                let mut whole = 0;
                for plane in &mut self.planes {
                    plane.mean = 0;
                }
                while whole < wanted && self.unit(&scan, &blocks_of, done + whole, &mut bits)? {
                    whole += 1;
                }
                let left = bits.left() / 8;
                Ok(Stretch { whole, left })
            },
        )
    }

    /// Reads a scan header and notes what the scan will have brought.
    fn begin<'a>(
        &mut self,
        frame: &Scanner,
        tables: &'a Tables,
        quantisation: &Quantisation,
        body: &[u8],
    ) -> Result<Scan<'a>, Defect> {
        let (selected, rest) = frame.scan_components(body)?;
        let n = selected.len();
        let Some(&[first, last, approximation]) = rest.first_chunk() else {
            return broken("the scan header is too short");
        };
        let band = (usize::from(first), usize::from(last));
        let (high, low) = (approximation >> 4, approximation & 15);
        let sound = match band {
            (0, 0) => true,
            (0, _) => false,
            (first, last) => first <= last && last < 64 && n == 1,
        };
        if !sound || low > 13 || (high != 0 && high != low + 1) {
            return broken(format!(
                "a scan of {n} components brings coefficients {first} to {last}, bits {high} to {low}"
            ));
        }
        let mut components = Vec::with_capacity(n);
        for (index, dc, ac) in selected {
            self.planes[index].quantise(quantisation.table(&frame.components[index])?);
            for lowest in &mut self.lowest[index][band.0..=band.1] {
                let expected = if high == 0 { ABSENT } else { high };
                if std::mem::replace(lowest, low) != expected {
                    return broken("the scans of a progressive image do not follow one another");
                }
            }
            let table = |of: &'a [Option<Box<Huffman>>; 4], number| {
                of.get(number).and_then(Option::as_deref)
            };
            components.push((index, table(&tables.dc, dc), table(&tables.ac, ac)));
        }
        let across = match components[..] {
            [(index, ..)] => self.planes[index].across,
            _ => (frame.frame.width as usize).div_ceil(8 * frame.largest_factors().0),
        };
        Ok(Scan {
            components,
            band,
            refines: high != 0,
            low,
            across,
        })
    }

    /// Reads one coding unit. False where the data end within it.
    fn unit(
        &mut self,
        scan: &Scan,
        blocks_of: &[usize],
        unit: usize,
        bits: &mut Bits,
    ) -> Result<bool, Defect> {
        let (x, y) = (unit % scan.across, unit / scan.across);
        for (&(index, dc, ac), &blocks) in scan.components.iter().zip(blocks_of) {
            let plane = &mut self.planes[index];
            for i in 0..blocks {
                let (block, mean) = plane.block((x, y), (i, blocks));
                let read = match (scan.band.0, scan.refines) {
                    (0, false) => bits.first_dc(dc, scan.low, mean, block)?,
                    (0, true) => bits.refine_dc(scan.low, block),
                    (_, false) => bits.first_band(ac, scan.band, scan.low, block)?,
                    (_, true) => bits.refine_band(ac, scan.band, scan.low, block)?,
                };
                if !read {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The samples of all that was brought. One component's coefficients after the other are freed.
    pub(super) fn decode(self, samples: &mut Samples) {
        for (plane, to) in self.planes.into_iter().zip(&mut samples.components) {
            plane.decode(to);
        }
    }

    /// A mean per block of the first component.
    pub(super) fn dc_image(&self) -> DcImage {
        self.planes[0].dc_image()
    }
}
