//! Progressive JPEGs (SOF2, annex G of T.81): every scan's entropy-coded data are read to the last bit, and it is noted
//! which bits of which coefficients the scans have brought.
//!
//! A file is complete when every coefficient of every component is there to its lowest bit. That is stricter than T.81,
//! which lets an encoder leave bits out for good: encoders do not, and a file cut between two scans looks just so.

use super::defect::{Defect, broken};
use super::entropy::huffman::Huffman;
use super::entropy::tables::Tables;
use super::frame::Scanner;
use super::markers::PADDING;

/// A coefficient that no scan has brought.
const ABSENT: u8 = u8::MAX;

/// What the scans so far have brought.
pub(super) struct Progress {
    /// Per component and coefficient (zigzag order): the lowest bit brought, or [`ABSENT`].
    lowest: Vec<[u8; 64]>,
    /// Per component and block: bit `k` is set where coefficient `k` is not zero. A refining scan has a bit for each.
    nonzero: Vec<Vec<u64>>,
}

/// A scan header (B.2.3).
struct Scan<'a> {
    /// Per component: its number in the frame, its DC table and its AC table.
    components: Vec<(usize, Option<&'a Huffman>, Option<&'a Huffman>)>,
    /// First and last coefficient.
    band: (usize, usize),
    /// Whether it adds a bit to what earlier scans brought.
    refines: bool,
}

impl Progress {
    /// Nothing yet of a frame's components.
    pub(super) fn new(frame: &Scanner) -> Self {
        Self {
            lowest: vec![[ABSENT; 64]; frame.components.len()],
            nonzero: vec![Vec::new(); frame.components.len()],
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
        body: &[u8],
        (bytes, at): (&[u8], usize),
        unstuffed: &mut Vec<u8>,
    ) -> Result<usize, Defect> {
        let scan = self.begin(frame, tables, body)?;
        let (units, blocks_of) = frame.units(scan.components.iter().map(|component| component.0));
        if let ([(index, ..)], true) = (scan.components.as_slice(), scan.band.0 > 0) {
            self.nonzero[*index].resize(units, 0);
        }
        frame.each_stretch(
            units,
            tables,
            bytes,
            at,
            unstuffed,
            &mut |done, wanted, padded| {
                let mut bits = Bits::new(padded);
                let mut whole = 0;
                while whole < wanted && self.unit(&scan, &blocks_of, done + whole, &mut bits)? {
                    whole += 1;
                }
                Ok(whole)
            },
        )
    }

    /// Reads a scan header and notes what the scan will have brought.
    fn begin<'a>(
        &mut self,
        frame: &Scanner,
        tables: &'a Tables,
        body: &[u8],
    ) -> Result<Scan<'a>, Defect> {
        let n = usize::from(body.first().copied().unwrap_or(0));
        let (Some(selectors), Some(&[first, last, approximation]), true) = (
            body.get(1..1 + 2 * n),
            body.get(1 + 2 * n..).and_then(|rest| rest.first_chunk()),
            (1..=4).contains(&n),
        ) else {
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
        for selector in selectors.chunks_exact(2) {
            let Some(index) = frame.components.iter().position(|c| c.id == selector[0]) else {
                return broken("a scan names a component that the frame has not");
            };
            for lowest in &mut self.lowest[index][band.0..=band.1] {
                let expected = if high == 0 { ABSENT } else { high };
                if std::mem::replace(lowest, low) != expected {
                    return broken("the scans of a progressive image do not follow one another");
                }
            }
            let table = |of: &'a [Option<Box<Huffman>>; 4], number: u8| {
                of.get(usize::from(number)).and_then(Option::as_deref)
            };
            components.push((
                index,
                table(&tables.dc, selector[1] >> 4),
                table(&tables.ac, selector[1] & 15),
            ));
        }
        Ok(Scan {
            components,
            band,
            refines: high != 0,
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
        for (&(index, dc, ac), &blocks) in scan.components.iter().zip(blocks_of) {
            for _ in 0..blocks {
                let read = match (scan.band.0, scan.refines) {
                    (0, false) => match bits.symbol(dc)? {
                        Some(size) => bits.skip(size),
                        None => false,
                    },
                    (0, true) => bits.skip(1),
                    (_, refines) => {
                        let nonzero = &mut self.nonzero[index][unit];
                        if refines {
                            bits.refine_band(ac, scan.band, nonzero)?
                        } else {
                            bits.first_band(ac, scan.band, nonzero)?
                        }
                    }
                };
                if !read {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// A stretch of entropy-coded data, read bit by bit.
struct Bits<'a> {
    /// The data and [`PADDING`] zeros.
    padded: &'a [u8],
    at: usize,
    /// Blocks still to come whose band has no new coefficient (EOBRUN).
    end_of_band_run: usize,
}

impl<'a> Bits<'a> {
    fn new(padded: &'a [u8]) -> Self {
        Self {
            padded,
            at: 0,
            end_of_band_run: 0,
        }
    }

    fn left(&self) -> usize {
        ((self.padded.len() - PADDING) * 8).saturating_sub(self.at)
    }

    /// The next 57 bits at least, first bit first.
    fn window(&self) -> u64 {
        match self
            .padded
            .get(self.at / 8..self.at / 8 + 8)
            .and_then(|eight| eight.first_chunk())
        {
            Some(eight) => u64::from_be_bytes(*eight) << (self.at % 8),
            None => 0,
        }
    }

    /// Passes over `n` bits. False where fewer are left.
    fn skip(&mut self, n: usize) -> bool {
        let enough = n <= self.left();
        self.at += n;
        enough
    }

    /// The next `n` bits, at most 16. None where fewer are left.
    fn take(&mut self, n: usize) -> Option<usize> {
        let value = match n {
            0 => 0,
            n => (self.window() >> (64 - n)) as usize,
        };
        self.skip(n).then_some(value)
    }

    /// The next symbol of a table. None where the data end.
    fn symbol(&mut self, table: Option<&Huffman>) -> Result<Option<usize>, Defect> {
        let Some(table) = table else {
            return broken("a scan uses a Huffman table that is not defined");
        };
        match table.symbol(self.window()) {
            Some((length, symbol)) => Ok(self.skip(length).then_some(symbol)),
            None if self.left() < 16 => Ok(None),
            None => broken("a code is not in its Huffman table"),
        }
    }

    /// A block of a band's first scan (G.1.2.2). False where the data end.
    fn first_band(
        &mut self,
        table: Option<&Huffman>,
        (mut k, last): (usize, usize),
        nonzero: &mut u64,
    ) -> Result<bool, Defect> {
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            return Ok(true);
        }
        while k <= last {
            let Some(symbol) = self.symbol(table)? else {
                return Ok(false);
            };
            match (symbol >> 4, symbol & 15) {
                (15, 0) => k += 16,
                (run, 0) => {
                    let Some(more) = self.take(run) else {
                        return Ok(false);
                    };
                    self.end_of_band_run = (1 << run) - 1 + more;
                    return Ok(true);
                }
                (run, size) => {
                    k += run;
                    if k > last {
                        return broken("a coefficient lies behind its band");
                    }
                    *nonzero |= 1 << k;
                    k += 1;
                    if !self.skip(size) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// A block of a band's refining scan (G.1.2.3). False where the data end.
    fn refine_band(
        &mut self,
        table: Option<&Huffman>,
        (mut k, last): (usize, usize),
        nonzero: &mut u64,
    ) -> Result<bool, Defect> {
        while k <= last && self.end_of_band_run == 0 {
            let Some(symbol) = self.symbol(table)? else {
                return Ok(false);
            };
            let (mut zeros, new) = match (symbol >> 4, symbol & 15) {
                (15, 0) => (15, false),
                (run, 0) => {
                    let Some(more) = self.take(run) else {
                        return Ok(false);
                    };
                    self.end_of_band_run = (1 << run) + more;
                    break;
                }
                (run, 1) => (run, true),
                _ => return broken("a refining scan brings more than one bit"),
            };
            if new && !self.skip(1) {
                return Ok(false);
            }
            while k <= last {
                if *nonzero >> k & 1 == 1 {
                    if !self.skip(1) {
                        return Ok(false);
                    }
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if new {
                if k > last {
                    return broken("a coefficient lies behind its band");
                }
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            let band = match k {
                k if k > last => 0,
                k => (u64::MAX >> (63 - last)) & (u64::MAX << k),
            };
            return Ok(self.skip((*nonzero & band).count_ones() as usize));
        }
        Ok(true)
    }
}
