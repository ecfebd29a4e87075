//! Progressive JPEGs (SOF2, annex G of T.81): every scan's entropy-coded data are read to the last bit, its coefficients
//! are kept, and it is noted which bits of which of them the scans have brought.
//!
//! A file is complete when every coefficient of every component is there to its lowest bit. That is stricter than T.81,
//! which lets an encoder leave bits out for good: encoders do not, and a file cut between two scans looks just so.

use super::defect::{Defect, broken};
use super::entropy::huffman::Huffman;
use super::entropy::tables::Tables;
use super::frame::Scanner;
use super::quantisation::Quantisation;
use super::samples::Samples;
use crate::dc_image::DcImage;
use planes::Plane;
use scans::{Band, DcScan, read_band, read_dc};

mod planes;
mod scans;

/// A coefficient that no scan has brought.
const ABSENT: u8 = u8::MAX;

/// What the scans so far have brought.
pub(super) struct Progress {
    /// Per component and coefficient (zigzag order): the lowest bit brought, or [`ABSENT`].
    lowest: Vec<[u8; 64]>,
    planes: Vec<Plane>,
}

/// What a scan brings.
enum Scan<'a> {
    Dc(DcScan<'a>),
    /// Of this component.
    Ac(usize, Band<'a>),
}

impl Progress {
    /// Nothing yet of a frame's components. Where there are no samples to be decoded, the AC coefficients are not kept.
    pub(super) fn new(frame: &Scanner, mut samples: Option<&mut Samples>) -> Self {
        let mut plane = |index: usize| {
            let blocks = samples.as_deref_mut();
            let blocks = blocks.map(|to| std::mem::take(&mut to.components[index].blocks));
            Plane::new(frame, index, blocks)
        };
        Self {
            lowest: vec![[ABSENT; 64]; frame.components.len()],
            planes: (0..frame.components.len()).map(&mut plane).collect(),
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
        let (components, scan) = self.begin(frame, tables, quantisation, body)?;
        let (units, _) = frame.units(components.into_iter());
        let read = &mut |done, wanted, padded: &[u8]| match &scan {
            Scan::Dc(scan) => read_dc(scan, &mut self.planes, done, wanted, padded),
            Scan::Ac(index, band) => {
                read_band(band, &mut self.planes[*index], done, wanted, padded)
            }
        };
        frame.each_stretch(units, tables, bytes, at, unstuffed, read)
    }

    /// Reads a scan header (B.2.3) and notes what the scan will have brought. Returns the numbers of its components, too.
    fn begin<'a>(
        &mut self,
        frame: &Scanner,
        tables: &'a Tables,
        quantisation: &Quantisation,
        body: &[u8],
    ) -> Result<(Vec<usize>, Scan<'a>), Defect> {
        let (selected, [first, last, approximation]) = frame.scan_components(body)?;
        let n = selected.len();
        let (first, last) = (usize::from(first), usize::from(last));
        let (high, low) = (approximation >> 4, approximation & 15);
        let sound = match (first, last) {
            (0, 0) => true,
            (0, _) => false,
            _ => first <= last && last < 64 && n == 1,
        };
        if !sound || low > 13 || (high != 0 && high != low + 1) {
            return broken(format!(
                "a scan of {n} components brings coefficients {first} to {last}, bits {high} to {low}"
            ));
        }
        let refines = high != 0;
        let numbers: Vec<usize> = selected.iter().map(|&(index, ..)| index).collect();
        for &index in &numbers {
            self.planes[index].quantise(quantisation.table(&frame.components[index])?);
            for lowest in &mut self.lowest[index][first..=last] {
                let expected = if refines { high } else { ABSENT };
                if std::mem::replace(lowest, low) != expected {
                    return broken("the scans of a progressive image do not follow one another");
                }
            }
        }
        let defined = |of: &'a [Option<Box<Huffman>>; 4], number: usize| match of
            .get(number)
            .and_then(Option::as_deref)
        {
            Some(table) => Ok(table),
            None => broken("a scan uses a Huffman table that is not defined"),
        };
        if first > 0 {
            let (index, _, ac) = selected[0];
            let band = Band {
                table: defined(&tables.ac, ac)?,
                first,
                last,
                refines,
                low,
            };
            return Ok((numbers, Scan::Ac(index, band)));
        }
        let (_, blocks_of) = frame.units(numbers.iter().copied());
        let mut components = Vec::with_capacity(n);
        for (&(index, dc, _), blocks) in selected.iter().zip(blocks_of) {
            let table = match refines {
                true => None,
                false => Some(defined(&tables.dc, dc)?),
            };
            components.push((index, table, blocks));
        }
        let across = match numbers[..] {
            [index] => self.planes[index].across,
            _ => (frame.frame.width as usize).div_ceil(8 * frame.largest_factors().0),
        };
        let scan = DcScan {
            components,
            low,
            across,
        };
        Ok((numbers, Scan::Dc(scan)))
    }

    /// The samples of all that was brought. One component's coefficients after the other are freed.
    pub(super) fn decode(self, samples: &mut Samples) {
        for (plane, to) in self.planes.into_iter().zip(&mut samples.components) {
            plane.decode(to);
        }
    }

    /// A mean per block of the first component, or of all, and by what it is to be multiplied.
    pub(super) fn dc_images(&self, all: bool) -> [Option<(DcImage, u16)>; 4] {
        let n = if all { self.planes.len() } else { 1 };
        std::array::from_fn(|i| Some(self.planes[..n].get(i)?.dc_image()))
    }
}
