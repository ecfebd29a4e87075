//! What the DC and the AC table of a component come to when the next bits are looked at: most blocks of a picture hold
//! little, and one look often finds a whole value, or a value and the end of its block.

use std::cell::RefCell;
use std::rc::Rc;

use super::huffman::{FAST, Huffman};

/// A code, the value behind it, and perhaps the end of the block behind that.
///
/// From the low bits on: how many bits all of it takes (8), how far the position moves (5, 0 to 16), three flags, and the
/// value or, where it is not known yet, its size (16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(u32);

/// The block ends.
const ENDS: u32 = 1 << 13;
/// The block ends, and there is no value before: the position moves by one all the same, over a zero.
const EMPTY: u32 = 1 << 14;
/// The value is not known yet.
const OPEN: u32 = 1 << 15;

impl Code {
    /// No code.
    const NONE: Self = Self(0);

    /// A code of `length` bits for a value of `size` bits that lies `advance` further.
    fn open(length: usize, advance: usize, size: usize) -> Self {
        Self((size << 16 | advance << 8 | (length + size)) as u32 | OPEN)
    }

    /// As the AC symbol says (F.1.2.2).
    fn of_ac(length: usize, symbol: usize) -> Self {
        match (symbol >> 4, symbol & 15) {
            (15, 0) => Self((16 << 8 | length) as u32),
            (_, 0) => Self((1 << 8 | length) as u32 | ENDS | EMPTY),
            (run, size) => Self::open(length, run + 1, size),
        }
    }

    #[inline(always)]
    pub(super) fn bits(self) -> usize {
        (self.0 & 255) as usize
    }

    #[inline(always)]
    pub(super) fn advance(self) -> usize {
        (self.0 >> 8 & 31) as usize
    }

    #[inline(always)]
    pub(super) fn ends(self) -> bool {
        self.0 & ENDS != 0
    }

    /// Whether it is a value with the end of the block behind.
    #[inline(always)]
    pub(super) fn is_last(self) -> bool {
        self.0 & (ENDS | EMPTY) == ENDS
    }

    /// The value, where `window` begins with the code.
    #[inline(always)]
    pub(super) fn value(self, window: u64) -> i32 {
        if self.0 & OPEN == 0 {
            return self.0 as i32 >> 16;
        }
        let size = (self.0 >> 16) as usize;
        extend(window << (self.bits() - size), size)
    }

    /// With the value, where its bits are among the first `known` of `window`.
    fn closed(self, window: u64, known: usize) -> Self {
        if self.0 & OPEN == 0 || self.bits() > known {
            return self;
        }
        Self(self.0 & (OPEN - 1) | (self.value(window) as u32) << 16)
    }
}

/// The value of the `size` bits at the head of `window` (F.2.2.1, EXTEND).
#[inline(always)]
pub(super) fn extend(window: u64, size: usize) -> i32 {
    // Two shifts, since a shift by all 64 bits is none.
    let value = (window >> 1 >> (63 - size)) as i32;
    // What begins with a zero is negative.
    let negative = !(window as i64 >> 63) as i32;
    value - (negative & ((1 << size) - 1))
}

/// The tables of a component.
pub(in crate::jpeg) struct Pair {
    dc: Huffman,
    ac: Huffman,
    /// By the next [`FAST`] bits.
    first: [Code; 1 << FAST],
    rest: [Code; 1 << FAST],
}

/// Pairs that a thread remembers: most files have the tables of annex K.
const REMEMBERED: usize = 8;

thread_local! {
    static PAIRS: RefCell<Vec<Rc<Pair>>> = const { RefCell::new(Vec::new()) };
}

impl Pair {
    /// Of these tables, from memory if they have been seen.
    pub(super) fn of(dc: &Huffman, ac: &Huffman) -> Rc<Self> {
        PAIRS.with_borrow_mut(|pairs| {
            let known = pairs.iter().find(|pair| pair.dc == *dc && pair.ac == *ac);
            if let Some(pair) = known {
                return Rc::clone(pair);
            }
            if pairs.len() == REMEMBERED {
                pairs.remove(0);
            }
            let pair = Rc::new(Self::new(dc.clone(), ac.clone()));
            pairs.push(Rc::clone(&pair));
            pair
        })
    }

    fn new(dc: Huffman, ac: Huffman) -> Self {
        let mut pair = Self {
            dc,
            ac,
            first: [Code::NONE; 1 << FAST],
            rest: [Code::NONE; 1 << FAST],
        };
        let known = FAST as usize;
        for head in 0..1 << FAST {
            let window = (head as u64) << (64 - FAST);
            let soon = |&(length, _): &(usize, usize)| length <= known;
            let dc = pair.dc.symbol(window).filter(soon);
            let first = match dc {
                Some((length, size)) => pair.with_end(Code::open(length, 0, size), window),
                None => Code::NONE,
            };
            let ac = pair.ac.symbol(window).filter(soon);
            let rest = ac.map_or(Code::NONE, |(length, symbol)| {
                pair.with_end(Code::of_ac(length, symbol), window)
            });
            (pair.first[head], pair.rest[head]) = (first, rest);
        }
        pair
    }

    /// The code with its value, and with the end of the block where it follows among the known bits.
    fn with_end(&self, code: Code, window: u64) -> Code {
        let known = FAST as usize;
        let code = code.closed(window, known);
        if code.0 & OPEN != 0 || code.ends() || code.advance() == 16 {
            return code;
        }
        match self.ac.symbol(window << code.bits()) {
            Some((length, 0)) if code.bits() + length <= known => {
                Code((code.0 + length as u32) | ENDS)
            }
            _ => code,
        }
    }

    /// The DC code at the head of `window`: none where it is long, or not in the table.
    #[inline(always)]
    pub(super) fn first(&self, window: u64) -> Option<Code> {
        let code = self.first[(window >> (64 - FAST)) as usize];
        (code != Code::NONE).then_some(code)
    }

    /// As [`Pair::first`], whatever its length.
    #[cold]
    pub(super) fn long_first(&self, window: u64) -> Option<Code> {
        let (length, size) = self.dc.symbol(window)?;
        Some(Code::open(length, 0, size))
    }

    /// The AC code at the head of `window`: none where it is long, or not in the table.
    #[inline(always)]
    pub(super) fn rest(&self, window: u64) -> Option<Code> {
        let code = self.rest[(window >> (64 - FAST)) as usize];
        (code != Code::NONE).then_some(code)
    }

    /// As [`Pair::rest`], whatever its length. Nothing is said of what follows.
    #[cold]
    pub(super) fn long_rest(&self, window: u64) -> Option<Code> {
        let (length, symbol) = self.ac.symbol(window)?;
        Some(Code::of_ac(length, symbol))
    }
}

#[cfg(test)]
mod tests;
