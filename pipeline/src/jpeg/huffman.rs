//! Huffman tables, and the walk over a stretch of entropy-coded data: codes are read, nothing is transformed.

use super::{Defect, broken};

/// Removes the zero that follows each 0xff (B.1.1.5) and appends eight zeros, so that the reader may look ahead.
pub(super) fn unstuff(stretch: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = stretch;
    while let Some(found) = rest.iter().position(|&byte| byte == 0xff) {
        out.extend_from_slice(&rest[..=found]);
        rest = &rest[found + 1..];
        if rest.first() == Some(&0) {
            rest = &rest[1..];
        }
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0; 8]);
}

/// One block of a coding unit: its tables, and whether its DC coefficient is wanted.
pub(super) struct Block<'a> {
    pub(super) dc: &'a Huffman,
    pub(super) ac: &'a Huffman,
    pub(super) wanted: bool,
}

/// Walks at most `units` units of these blocks, and returns how many are there whole. The DC coefficients of the wanted
/// blocks, not dequantised, are appended to `means` in the order of the file.
pub(super) fn walk_stretch(
    blocks: &[Block],
    units: usize,
    padded: &[u8],
    means: &mut Vec<i32>,
) -> Result<usize, Defect> {
    let bits = (padded.len() - 8) * 8;
    let mut at = 0;
    // The next 57 bits at least, first bit first.
    let look = |at: usize| match padded
        .get(at / 8..at / 8 + 8)
        .and_then(|eight| eight.first_chunk())
    {
        Some(eight) => u64::from_be_bytes(*eight) << (at % 8),
        None => 0,
    };
    let missing = |at: usize, unit: usize, what: &str| {
        if at + 16 > bits {
            Ok(unit)
        } else {
            broken(format!("{what} code is not in its Huffman table"))
        }
    };
    let mut mean = 0i32;
    for unit in 0..units {
        for block in blocks {
            let window = look(at);
            let Some((length, size)) = block.dc.symbol(window) else {
                return missing(at, unit, "a DC");
            };
            if size > 15 {
                return broken("a DC difference has more than 15 bits");
            }
            at += length + size;
            if block.wanted {
                mean = mean.wrapping_add(extend(window << length, size));
                means.push(mean);
            }
            let mut k = 1;
            while k < 64 {
                let window = look(at);
                // Most codes are short: one look tells how far they reach in bits and in coefficients.
                let step = block.ac.steps[(window >> (64 - FAST)) as usize];
                if step != 0 {
                    at += usize::from(step & 255);
                    k += usize::from(step >> 8);
                } else {
                    let Some((length, run_size)) = block.ac.symbol(window) else {
                        return missing(at, unit, "an AC");
                    };
                    at += length + (run_size & 15);
                    k += advance(run_size);
                }
                if at > bits {
                    return Ok(unit);
                }
            }
            if at > bits {
                return Ok(unit);
            }
            // An end of block counts as END_OF_BLOCK coefficients; a run that passes the last one is corrupt.
            if k > 64 && k < END_OF_BLOCK {
                return broken("a block has more than 64 coefficients");
            }
        }
    }
    Ok(units)
}

/// What an end of block adds to the position: more than any run can reach.
const END_OF_BLOCK: usize = 128;

/// How many coefficients an AC symbol stands for.
fn advance(run_size: usize) -> usize {
    match (run_size >> 4, run_size & 15) {
        (15, 0) => 16,
        (_, 0) => END_OF_BLOCK,
        (run, _) => run + 1,
    }
}

/// The value of the `size` bits at the head of `window` (F.2.2.1, EXTEND).
fn extend(window: u64, size: usize) -> i32 {
    if size == 0 {
        return 0;
    }
    let value = (window >> (64 - size)) as i32;
    if value < 1 << (size - 1) {
        value - (1 << size) + 1
    } else {
        value
    }
}

/// The Huffman tables defined so far, and the restart interval.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Box<Huffman>>; 4],
    pub(super) ac: [Option<Box<Huffman>>; 4],
    /// Units between restart markers; 0 for none.
    pub(super) restart: usize,
}

impl Tables {
    /// Reads a DHT segment, which may define several tables (B.2.4.2).
    pub(super) fn define(&mut self, mut body: &[u8]) -> Result<(), Defect> {
        while let Some((&class_id, rest)) = body.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return broken("a Huffman table is too short");
            };
            let n = counts
                .iter()
                .map(|&count| usize::from(count))
                .sum::<usize>();
            let (true, Some(symbols)) = (n <= 256, rest.get(..n)) else {
                return broken("a Huffman table is too short");
            };
            let classes = match class_id >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return broken("a Huffman table is neither for DC nor for AC"),
            };
            let Some(slot) = classes.get_mut(usize::from(class_id & 15)) else {
                return broken("a Huffman table has a number above 3");
            };
            *slot = Some(Box::new(Huffman::new(counts, symbols)?));
            body = &rest[n..];
        }
        Ok(())
    }
}

/// Bits looked up at once.
const FAST: u32 = 10;

/// A Huffman table.
pub(super) struct Huffman {
    /// By the next [`FAST`] bits: code length in the high byte, symbol in the low; 0 where the code is longer.
    fast: [u16; 1 << FAST],
    /// By the same bits, for AC tables: coefficients advanced in the high byte, bits of the code and of what follows it in
    /// the low; 0 where the code is longer.
    steps: [u16; 1 << FAST],
    /// Per length: one past its last code, aligned to 16 bits; and what to add to a code to find its symbol.
    limit: [u32; 17],
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Huffman {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Defect> {
        let mut table = Self {
            fast: [0; 1 << FAST],
            steps: [0; 1 << FAST],
            limit: [0; 17],
            offset: [0; 17],
            symbols: [0; 256],
        };
        table.symbols[..symbols.len()].copy_from_slice(symbols);
        let (mut code, mut index) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << length {
                    return broken("a Huffman table has more codes than its lengths allow");
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(symbols[index]);
                    let last = first + (1 << (FAST - length));
                    table.fast[first..last].fill(entry);
                    let symbol = usize::from(symbols[index]);
                    let bits = length as usize + (symbol & 15);
                    table.steps[first..last].fill((advance(symbol) << 8 | bits) as u16);
                }
                code += 1;
                index += 1;
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// The code at the head of `window`: its length and its symbol; none where the table has no such code.
    #[inline]
    pub(super) fn symbol(&self, window: u64) -> Option<(usize, usize)> {
        let entry = usize::from(self.fast[(window >> (64 - FAST)) as usize]);
        if entry != 0 {
            return Some((entry >> 8, entry & 255));
        }
        let head = (window >> 48) as u32;
        let length = (FAST as usize + 1..=16).find(|&length| head < self.limit[length])?;
        let index = (head >> (16 - length)) as i32 + self.offset[length];
        Some((
            length,
            usize::from(*self.symbols.get(usize::try_from(index).ok()?)?),
        ))
    }
}
