//! Huffman tables as a file defines them (annex C of T.81).

use crate::jpeg::defect::{Defect, broken};

/// Bits looked up at once.
pub(super) const FAST: u32 = 10;

/// A Huffman table.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::jpeg) struct Huffman {
    /// By the next [`FAST`] bits: code length in the high byte, symbol in the low; 0 where the code is longer.
    fast: [u16; 1 << FAST],
    /// Per length: one past its last code, aligned to 16 bits; and what to add to a code to find its symbol.
    limit: [u32; 17],
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Huffman {
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Defect> {
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
                // No code is all ones (C.2).
                if code + 1 >= 1 << length {
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
    pub(in crate::jpeg) fn symbol(&self, window: u64) -> Option<(usize, usize)> {
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
