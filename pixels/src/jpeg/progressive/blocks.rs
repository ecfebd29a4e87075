//! The coefficients of a component, until all scans have brought theirs.

use crate::dc_image::DcImage;
use crate::jpeg::frame::Scanner;
use crate::jpeg::idct::{ZIGZAG, flat, transform};
use crate::jpeg::samples::ComponentSamples;
use crate::jpeg::sequential::SMALL;
use crate::simd::{Avx2, twice};

/// Coefficients in zigzag order.
pub(super) type Block = [i16; 64];

/// A component's blocks.
pub(super) struct Plane {
    /// Blocks per row, those that only fill a unit up not counted.
    pub(super) across: usize,
    /// Row by row.
    blocks: Vec<Block>,
    /// How many blocks of an interleaved scan's unit stand side by side.
    horizontal: usize,
    vertical: usize,
    /// As of the component's first scan, in zigzag order.
    quantisation: Option<[u16; 64]>,
    /// The DC coefficient read last.
    pub(super) mean: i16,
    /// Takes what only fills a unit up.
    beyond: Block,
}

impl Plane {
    pub(super) fn new(frame: &Scanner, index: usize) -> Self {
        let (across, down) = frame.blocks(index);
        Self {
            across,
            blocks: vec![[0; 64]; across * down],
            horizontal: frame.components[index].horizontal,
            vertical: frame.components[index].vertical,
            quantisation: None,
            mean: 0,
            beyond: [0; 64],
        }
    }

    /// Takes the table that is in force, unless there was an earlier scan.
    pub(super) fn quantise(&mut self, table: &[u16; 64]) {
        self.quantisation.get_or_insert(*table);
    }

    /// Block `i` of `n` of the unit at `(x, y)`, and the DC coefficient before it.
    pub(super) fn block(
        &mut self,
        (x, y): (usize, usize),
        (i, n): (usize, usize),
    ) -> (&mut Block, &mut i16) {
        // A unit of a scan that is not interleaved is a block.
        let (h, v) = match n {
            1 => (1, 1),
            _ => (self.horizontal, self.vertical),
        };
        let (x, y) = (x * h + i % h, y * v + i / h);
        let block = match x < self.across {
            true => self.blocks.get_mut(y * self.across + x),
            false => None,
        };
        (block.unwrap_or(&mut self.beyond), &mut self.mean)
    }

    /// A mean per block.
    pub(super) fn dc_image(&self) -> DcImage {
        DcImage {
            width: self.across,
            height: self.blocks.len() / self.across,
            means: self.blocks.iter().map(|block| block[0].into()).collect(),
        }
    }

    /// The samples.
    pub(super) fn decode(self, to: &mut ComponentSamples) {
        let down = self.blocks.len() / self.across;
        to.samples.resize(to.stride * down * 8, 0);
        let table = self.quantisation.unwrap_or([0; 64]);
        decode_blocks(&self.blocks, self.across, &table, to);
    }
}

twice! {
    fn decode_blocks(
        blocks: &[Block],
        across: usize,
        table: &[u16; 64],
        to: &mut ComponentSamples,
    ) = decode_blocks_in;
}

#[inline(always)]
fn decode_blocks_in(
    avx2: Option<Avx2>,
    blocks: &[Block],
    across: usize,
    table: &[u16; 64],
    to: &mut ComponentSamples,
) {
    let stride = to.stride / 8;
    let rows = to.samples.as_chunks_mut::<8>().0;
    let dequantised =
        |block: &Block, k: usize| i32::from(block[k]).wrapping_mul(table[k].into()) as i16;
    for (i, block) in blocks.iter().enumerate() {
        let at = i / across * 8 * stride + i % across;
        let last = block.iter().rposition(|&c| c != 0).unwrap_or(0);
        let pixels = if last == 0 {
            [[flat(dequantised(block, 0)); 8]; 8]
        } else {
            let mut coefficients = [0; 64];
            for (k, &position) in ZIGZAG.iter().enumerate().take(last + 1) {
                coefficients[usize::from(position)] = dequantised(block, k);
            }
            if last < SMALL {
                transform::<4>(avx2, &coefficients)
            } else {
                transform::<8>(avx2, &coefficients)
            }
        };
        for (y, pixels) in pixels.into_iter().enumerate() {
            rows[at + y * stride] = pixels;
        }
    }
}
