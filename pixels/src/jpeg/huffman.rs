//! Huffman tables as a file defines them (annex C of T.81).

use std::rc::Rc;

use super::pair::Pair;
use super::{Defect, broken};

/// The Huffman tables defined so far, and the restart interval.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Box<Huffman>>; 4],
    pub(super) ac: [Option<Box<Huffman>>; 4],
    /// Units between restart markers; 0 for none.
    pub(super) restart: usize,
}

impl Tables {
    /// The DC and the AC table of these numbers, for a sequential scan.
    pub(super) fn pair(&self, dc: usize, ac: usize) -> Result<Rc<Pair>, Defect> {
        let dc = self.dc.get(dc).and_then(Option::as_deref);
        let ac = self.ac.get(ac).and_then(Option::as_deref);
        let (Some(dc), Some(ac)) = (dc, ac) else {
            return broken("a scan uses a Huffman table that is not defined");
        };
        Ok(Pair::of(dc, ac))
    }

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
pub(super) const FAST: u32 = 10;

/// A Huffman table.
#[derive(Clone, PartialEq, Eq)]
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
                    let last = first + (1 << (FAST - length));
                    table.fast[first..last].fill(entry);
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
