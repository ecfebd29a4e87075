//! The entropy-coded data of a progressive scan, read bit by bit into coefficients.

use super::blocks::Block;
use crate::jpeg::defect::{Defect, broken};
use crate::jpeg::entropy::huffman::Huffman;
use crate::jpeg::markers::PADDING;

/// A stretch of entropy-coded data, read bit by bit.
pub(super) struct Bits<'a> {
    /// The data and [`PADDING`] zeros.
    padded: &'a [u8],
    at: usize,
    /// Blocks still to come whose band has no new coefficient (EOBRUN).
    end_of_band_run: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(padded: &'a [u8]) -> Self {
        Self {
            padded,
            at: 0,
            end_of_band_run: 0,
        }
    }

    pub(super) fn left(&self) -> usize {
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

    /// The value of `size` bits, at most 15 (F.2.2.1, EXTEND). None where fewer are left.
    fn value(&mut self, size: usize) -> Option<i16> {
        let value = self.take(size)? as i32;
        let negative = size > 0 && value >> (size - 1) == 0;
        Some((value - if negative { (1 << size) - 1 } else { 0 }) as i16)
    }

    /// A DC coefficient's first scan (G.1.2.1). False where the data end.
    pub(super) fn first_dc(
        &mut self,
        table: Option<&Huffman>,
        low: u8,
        mean: &mut i16,
        block: &mut Block,
    ) -> Result<bool, Defect> {
        let Some(size) = self.symbol(table)? else {
            return Ok(false);
        };
        if size > 15 {
            return broken("a DC difference has more than 15 bits");
        }
        let Some(difference) = self.value(size) else {
            return Ok(false);
        };
        *mean = mean.wrapping_add(difference);
        block[0] = *mean << low;
        Ok(true)
    }

    /// A DC coefficient's refining scan. False where the data end.
    pub(super) fn refine_dc(&mut self, low: u8, block: &mut Block) -> bool {
        let bit = self.take(1);
        block[0] |= (bit.unwrap_or(0) as i16) << low;
        bit.is_some()
    }

    /// Adds a bit to a coefficient that is not zero. False where the data end.
    fn refine(&mut self, low: u8, coefficient: &mut i16) -> bool {
        let bit = self.take(1);
        if bit == Some(1) && *coefficient & 1 << low == 0 {
            *coefficient = coefficient.wrapping_add(coefficient.signum() << low);
        }
        bit.is_some()
    }

    /// A block of a band's first scan (G.1.2.2). False where the data end.
    pub(super) fn first_band(
        &mut self,
        table: Option<&Huffman>,
        (mut k, last): (usize, usize),
        low: u8,
        block: &mut Block,
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
                    let Some(value) = self.value(size) else {
                        return Ok(false);
                    };
                    block[k] = value << low;
                    k += 1;
                }
            }
        }
        Ok(true)
    }

    /// A block of a band's refining scan (G.1.2.3). False where the data end.
    pub(super) fn refine_band(
        &mut self,
        table: Option<&Huffman>,
        (mut k, last): (usize, usize),
        low: u8,
        block: &mut Block,
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
            let mut value = 0;
            if new {
                value = match self.take(1) {
                    Some(1) => 1 << low,
                    Some(_) => -1 << low,
                    None => return Ok(false),
                };
            }
            while k <= last {
                if block[k] != 0 {
                    if !self.refine(low, &mut block[k]) {
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
                block[k] = value;
            }
            k += 1;
        }
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            let rest = block.get_mut(k..=last).unwrap_or_default();
            for coefficient in rest.iter_mut().filter(|c| **c != 0) {
                if !self.refine(low, coefficient) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
