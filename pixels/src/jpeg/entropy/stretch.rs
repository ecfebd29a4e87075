//! A stretch of entropy-coded data, read block by block (annex F of T.81): here codes are read and nothing is transformed.

use super::huffman::Huffman;
use super::pair::{Pair, extend};
use crate::jpeg::defect::{Defect, broken};
use crate::jpeg::markers::PADDING;
use crate::simd::{Avx2, twice};

/// One block of a coding unit: its tables, which of the scan's components it is of, and whether its DC coefficient is wanted.
pub(in crate::jpeg) struct Block<'a> {
    pub(in crate::jpeg) pair: &'a Pair,
    pub(in crate::jpeg) component: usize,
    pub(in crate::jpeg) wanted: bool,
}

/// What a stretch of entropy-coded data held.
pub(in crate::jpeg) struct Stretch {
    /// Coding units that are there whole.
    pub(in crate::jpeg) whole: usize,
    /// Bytes behind them.
    pub(in crate::jpeg) left: usize,
}

/// Entropy-coded data, read from the first bit on.
pub(in crate::jpeg) struct Reader<'a> {
    /// The data and [`PADDING`] zeros.
    padded: &'a [u8],
    /// Where the next byte to fetch lies.
    at: usize,
    /// The bits that come next, first bit first. What lies behind `held` of them is not wrong, but may be incomplete.
    window: u64,
    held: usize,
}

impl<'a> Reader<'a> {
    #[inline(always)]
    pub(in crate::jpeg) fn new(padded: &'a [u8]) -> Self {
        Self {
            padded,
            at: 0,
            window: 0,
            held: 0,
        }
    }

    /// Makes sure that the window holds a code and what follows it: 32 bits.
    #[inline(always)]
    fn refill(&mut self) {
        if self.held >= 32 {
            return;
        }
        if let Some(eight) = self.padded.get(self.at..).and_then(<[u8]>::first_chunk) {
            self.window |= u64::from_be_bytes(*eight) >> self.held;
        }
        self.at += (63 - self.held) / 8;
        self.held |= 56;
    }

    /// What comes next, first bit first: 32 bits at least.
    #[inline(always)]
    pub(in crate::jpeg) fn window(&mut self) -> u64 {
        self.refill();
        self.window
    }

    /// Passes over `n` bits, at most as many as are held.
    #[inline(always)]
    pub(in crate::jpeg) fn skip(&mut self, n: usize) {
        self.window <<= n;
        self.held -= n;
    }

    /// Reads a block's DC difference. None where the data end within it.
    #[inline(always)]
    pub(in crate::jpeg) fn first(&mut self, pair: &Pair) -> Result<Option<(i32, bool)>, Defect> {
        self.refill();
        let code = match pair.first(self.window) {
            Some(code) => code,
            None => match pair.long_first(self.window) {
                Some(code) => code,
                None => return self.missing("a DC"),
            },
        };
        let value = code.value(self.window);
        self.skip(code.bits());
        Ok(Some((value, code.ends())))
    }

    /// Reads an AC value. `k` is the position after the one read last, and becomes that after this one; an end of block
    /// counts as a value of zero. None where the data end within it, else the value and whether the block ends.
    #[inline(always)]
    pub(in crate::jpeg) fn rest(
        &mut self,
        pair: &Pair,
        k: &mut usize,
    ) -> Result<Option<(i32, bool)>, Defect> {
        self.refill();
        let mut code = match pair.rest(self.window) {
            Some(code) => code,
            None => match pair.long_rest(self.window) {
                Some(code) => code,
                None => return self.missing("an AC"),
            },
        };
        *k += code.advance();
        let full = *k >= 64;
        if full && code.is_last() {
            // A full block has no end: what looks like one is the next block's.
            code = pair.long_rest(self.window).unwrap_or(code);
        }
        let value = code.value(self.window);
        self.skip(code.bits());
        Ok(Some((value, full || code.ends())))
    }

    /// The next symbol of a table, behind which 16 bits more are held. None where the data end.
    #[inline(always)]
    pub(in crate::jpeg) fn symbol(&mut self, table: &Huffman) -> Result<Option<usize>, Defect> {
        let Some((length, symbol)) = table.symbol(self.window()) else {
            return self.missing("a");
        };
        self.skip(length);
        Ok(Some(symbol))
    }

    /// The value of `size` bits, at most 15, behind a symbol.
    #[inline(always)]
    pub(in crate::jpeg) fn value(&mut self, size: usize) -> i16 {
        let value = extend(self.window, size);
        self.skip(size);
        value as i16
    }

    /// The next `n` bits, at most 32.
    #[inline(always)]
    pub(in crate::jpeg) fn take(&mut self, n: usize) -> usize {
        // Two shifts, since a shift by all 64 bits is none.
        let bits = (self.window() >> 1 >> (63 - n)) as usize;
        self.skip(n);
        bits
    }

    /// Passes over `n` bits, at most 64.
    #[inline(always)]
    pub(in crate::jpeg) fn pass(&mut self, n: usize) {
        for n in [n.min(32), n - n.min(32)] {
            self.refill();
            self.skip(n);
        }
    }

    /// What it means that the next code is in no table: None where the data end, else a defect.
    #[cold]
    fn missing<T>(&self, what: &str) -> Result<Option<T>, Defect> {
        if self.passed() + 16 > self.bits() {
            Ok(None)
        } else {
            broken(format!("{what} code is not in its Huffman table"))
        }
    }

    /// Whether a block is there whole, whose last value was before position `k`.
    #[inline(always)]
    pub(in crate::jpeg) fn is_whole(&self, k: usize) -> Result<bool, Defect> {
        if self.is_beyond() {
            return Ok(false);
        }
        if k > 64 {
            return broken("a block has more than 64 coefficients");
        }
        Ok(true)
    }

    /// Whether more was read than there is.
    #[inline(always)]
    pub(in crate::jpeg) fn is_beyond(&self) -> bool {
        self.passed() > self.bits()
    }

    /// What a mistake behind `whole` units means: where more was read than there is, the data end, and else a defect.
    #[cold]
    pub(in crate::jpeg) fn wrong(&self, whole: usize, what: &str) -> Result<Stretch, Defect> {
        match self.is_beyond() {
            true => Ok(self.read(whole)),
            false => broken(what),
        }
    }

    /// What the stretch held, of which `whole` units were read.
    pub(in crate::jpeg) fn read(&self, whole: usize) -> Stretch {
        let left = self.bits().saturating_sub(self.passed()) / 8;
        Stretch { whole, left }
    }

    /// How many bits were passed over.
    #[inline(always)]
    fn passed(&self) -> usize {
        self.at * 8 - self.held
    }

    /// How many bits there are, without the padding.
    #[inline(always)]
    fn bits(&self) -> usize {
        (self.padded.len() - PADDING) * 8
    }
}

twice! {
    /// Walks at most `units` units of these blocks. The DC coefficients of the wanted
    /// blocks, not dequantised, are appended to `means` in the order of the file.
    pub(in crate::jpeg) fn walk_stretch(
        blocks: &[Block<'_>],
        units: usize,
        padded: &[u8],
        means: &mut Vec<i32>,
    ) -> Result<Stretch, Defect> = walk_stretch_in;
}

#[inline(always)]
fn walk_stretch_in(
    _: Option<Avx2>,
    blocks: &[Block<'_>],
    units: usize,
    padded: &[u8],
    means: &mut Vec<i32>,
) -> Result<Stretch, Defect> {
    let mut reader = Reader::new(padded);
    let mut last = [0i32; 4];
    for unit in 0..units {
        for block in blocks {
            let Some((difference, mut ends)) = reader.first(block.pair)? else {
                return Ok(reader.read(unit));
            };
            if block.wanted {
                let mean = &mut last[block.component & 3];
                *mean = mean.wrapping_add(difference);
                means.push(*mean);
            }
            let mut k = 1;
            while !ends {
                match reader.rest(block.pair, &mut k)? {
                    Some((_, end)) => ends = end,
                    None => return Ok(reader.read(unit)),
                }
            }
            if !reader.is_whole(k)? {
                return Ok(reader.read(unit));
            }
        }
    }
    Ok(reader.read(units))
}
