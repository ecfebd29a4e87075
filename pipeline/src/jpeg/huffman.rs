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

/// Walks at most `wanted` units of these blocks, and returns how many are there whole.
pub(super) fn walk_stretch(
    blocks: &[(&Huffman, &Huffman)],
    wanted: usize,
    padded: &[u8],
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
    for unit in 0..wanted {
        for (dc, ac) in blocks {
            let Some((length, size)) = dc.symbol(look(at)) else {
                return if at + 16 > bits {
                    Ok(unit)
                } else {
                    broken("a DC code is not in its Huffman table")
                };
            };
            at += length + size;
            let mut k = 1;
            while k < 64 {
                let Some((length, run_size)) = ac.symbol(look(at)) else {
                    return if at + 16 > bits {
                        Ok(unit)
                    } else {
                        broken("an AC code is not in its Huffman table")
                    };
                };
                let (run, size) = (run_size >> 4, run_size & 15);
                at += length + size;
                match (run, size) {
                    (15, 0) => k += 16,
                    (_, 0) => break,
                    _ => k += run + 1,
                }
                if at > bits {
                    return Ok(unit);
                }
            }
            if at > bits {
                return Ok(unit);
            }
            if k > 64 {
                return broken("a block has more than 64 coefficients");
            }
        }
    }
    Ok(wanted)
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
    /// Per length: one past its last code, aligned to 16 bits; and what to add to a code to find its symbol.
    limit: [u32; 17],
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Huffman {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Defect> {
        let mut table = Self {
            fast: [0; 1 << FAST],
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
                    table.fast[first..first + (1 << (FAST - length))].fill(entry);
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
