//! The coefficients of a component, until all scans have brought theirs.

use crate::dc_image::DcImage;
use crate::jpeg::frame::Scanner;
use crate::jpeg::idct::{ZIGZAG, flat, transform};
use crate::jpeg::samples::{Block, ComponentSamples};
use crate::jpeg::sequential::SMALL;
use crate::simd::{Avx2, twice};

/// The most blocks that are kept for the next picture: those of a component of one mebipixel, with some to spare.
const MOST_KEPT: usize = 1 << 15;

/// A component's blocks, row by row, those that only fill a unit up not counted.
pub(super) struct Plane {
    /// Blocks per row.
    pub(super) across: usize,
    /// The DC coefficients.
    dc: Vec<i16>,
    /// Per block: which AC coefficients are not zero, by zigzag position.
    present: Vec<u64>,
    /// The AC coefficients; empty where a file is only looked at.
    blocks: Vec<Block>,
    /// How many blocks of an interleaved scan's unit stand side by side.
    horizontal: usize,
    vertical: usize,
    /// As of the component's first scan, in natural order.
    quantisation: Option<[u16; 64]>,
    /// Takes what only fills a unit up.
    beyond: i16,
}

impl Plane {
    /// All zero. `blocks`, whatever they hold, are used where coefficients are wanted.
    pub(super) fn new(frame: &Scanner, index: usize, blocks: Option<Vec<Block>>) -> Self {
        let (across, down) = frame.blocks(index);
        let blocks = blocks.map(|mut blocks| {
            blocks.clear();
            blocks.resize(across * down, [0; 64]);
            blocks
        });
        Self {
            across,
            dc: vec![0; across * down],
            present: vec![0; across * down],
            blocks: blocks.unwrap_or_default(),
            horizontal: frame.components[index].horizontal,
            vertical: frame.components[index].vertical,
            quantisation: None,
            beyond: 0,
        }
    }

    /// Takes the table that is in force, unless there was an earlier scan.
    pub(super) fn quantise(&mut self, table: &[u16; 64]) {
        self.quantisation.get_or_insert_with(|| {
            let mut natural = [0; 64];
            for (&position, &step) in ZIGZAG.iter().zip(table) {
                natural[usize::from(position)] = step;
            }
            natural
        });
    }

    /// The DC coefficient of block `i` of `n` of the unit at `(x, y)`.
    #[inline(always)]
    pub(super) fn dc(&mut self, (x, y): (usize, usize), (i, n): (usize, usize)) -> &mut i16 {
        // A unit of a scan that is not interleaved is a block.
        let (h, v) = match n {
            1 => (1, 1),
            _ => (self.horizontal, self.vertical),
        };
        let (x, y) = (x * h + i % h, y * v + i / h);
        let dc = match x < self.across {
            true => self.dc.get_mut(y * self.across + x),
            false => None,
        };
        dc.unwrap_or(&mut self.beyond)
    }

    /// From this block on: which coefficients are not zero, and the coefficients, if they are kept.
    #[inline(always)]
    pub(super) fn blocks_from(&mut self, block: usize) -> (&mut [u64], &mut [Block]) {
        let blocks = self.blocks.get_mut(block..).unwrap_or_default();
        (&mut self.present[block..], blocks)
    }

    /// A mean per block, and by what it is to be multiplied.
    pub(super) fn dc_image(&self) -> (DcImage, u16) {
        let image = DcImage {
            width: self.across,
            height: self.dc.len() / self.across,
            means: self.dc.iter().map(|&dc| dc.into()).collect(),
        };
        (image, self.quantisation.map_or(0, |table| table[0]))
    }

    /// The samples.
    pub(super) fn decode(self, to: &mut ComponentSamples) {
        let down = self.dc.len() / self.across;
        to.samples.resize(to.stride * down * to.side.1, 0);
        decode_blocks(&self, to);
        if self.blocks.len() <= MOST_KEPT {
            to.blocks = self.blocks;
        }
    }
}

twice! {
    fn decode_blocks(plane: &Plane, to: &mut ComponentSamples) = decode_blocks_in;
}

#[inline(always)]
fn decode_blocks_in(avx2: Option<Avx2>, plane: &Plane, to: &mut ComponentSamples) {
    let table = plane
        .quantisation
        .unwrap_or([0; 64])
        .map(|step| step as i16);
    let (mut x, mut y) = (0, 0);
    let coded = plane.dc.iter().zip(&plane.present).zip(&plane.blocks);
    for ((&dc, &present), block) in coded {
        let at = y * to.side.1 * to.stride + x * to.side.0;
        let dc = dc.wrapping_mul(table[0]);
        let put = if present == 0 {
            to.put(at, [[flat(dc); 8]; 8])
        } else {
            let mut coefficients = [0; 64];
            for ((to, &c), &step) in coefficients.iter_mut().zip(block).zip(&table) {
                *to = c.wrapping_mul(step);
            }
            coefficients[0] = dc;
            if present >> SMALL == 0 {
                to.put(at, transform::<4>(avx2, &coefficients))
            } else {
                to.put(at, transform::<8>(avx2, &coefficients))
            }
        };
        debug_assert!(put, "a block has its place");
        x += 1;
        if x == plane.across {
            (x, y) = (0, y + 1);
        }
    }
}
