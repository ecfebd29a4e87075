//! The components of a JPEG as they are coded, each perhaps smaller than the picture. `color` makes RGB of them.

use super::frame::Scanner;

/// A block's coefficients, in natural order.
pub(super) type Block = [i16; 64];

/// What the components mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Colors {
    /// Luma alone.
    #[default]
    Grey,
    /// Y, Cb and Cr.
    Ycc,
    /// Red, green and blue.
    Rgb,
    /// Cyan, magenta, yellow and black, each inverted.
    Cmyk,
    /// Y, Cb and Cr of cyan, magenta and yellow, and inverted black.
    Ycck,
}

/// The samples of one component, whole blocks of them.
#[derive(Debug, Default)]
pub(super) struct ComponentSamples {
    /// Row by row, at least `[height, width]`.
    pub(super) samples: Vec<u8>,
    /// Samples of a block, across and down: 8, or 4, 2 or 1, which are means.
    pub(super) side: (usize, usize),
    /// Samples from one row to the next.
    pub(super) stride: usize,
    /// Columns that are part of the picture.
    pub(super) width: usize,
    /// Rows that are part of the picture.
    pub(super) height: usize,
    /// How many pixels a sample stands for, across and down.
    pub(super) expand: (usize, usize),
    /// Room for the coefficients of a progressive file.
    pub(super) blocks: Vec<Block>,
}

impl ComponentSamples {
    /// A row's columns that are part of the picture.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..][..self.width]
    }

    /// Puts a block's samples where its first belongs. False where it lies outside the picture.
    #[inline(always)]
    pub(super) fn put(&mut self, at: usize, block: [[u8; 8]; 8]) -> bool {
        if self.side != (8, 8) {
            return self.put_reduced(at, &block);
        }
        let stride = self.stride / 8;
        let rows = self.samples.as_chunks_mut::<8>().0;
        let Some(rows) = rows.get_mut(at / 8..at / 8 + 7 * stride + 1) else {
            return false;
        };
        for (y, row) in block.into_iter().enumerate() {
            rows[y * stride] = row;
        }
        true
    }

    #[inline(never)]
    fn put_reduced(&mut self, at: usize, block: &[[u8; 8]; 8]) -> bool {
        match self.side.0 {
            8 => self.put_means::<8>(at, block),
            4 => self.put_means::<4>(at, block),
            2 => self.put_means::<2>(at, block),
            _ => self.put_means::<1>(at, block),
        }
    }

    #[inline(always)]
    fn put_means<const ACROSS: usize>(&mut self, at: usize, block: &[[u8; 8]; 8]) -> bool {
        let (across, down) = (8 / ACROSS, 8 / self.side.1);
        let bits = (across * down).trailing_zeros();
        for (y, rows) in block.chunks_exact(down).enumerate() {
            let mut columns = [0u16; 8];
            for row in rows {
                for (sum, &sample) in columns.iter_mut().zip(row) {
                    *sum += u16::from(sample);
                }
            }
            let place = self.samples.get_mut(at + y * self.stride..);
            let Some(row) = place.and_then(<[u8]>::first_chunk_mut::<ACROSS>) else {
                return false;
            };
            for (mean, columns) in row.iter_mut().zip(columns.chunks_exact(across)) {
                let sum: u16 = columns.iter().sum();
                *mean = ((sum + (1 << bits >> 1)) >> bits) as u8;
            }
        }
        true
    }
}

/// The components of a decoded JPEG, and what is kept from one file to the next.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(super) components: [ComponentSamples; 4],
    /// Says how many of the components are meant.
    pub(super) colors: Colors,
    /// The entropy-coded data of one stretch.
    pub(super) unstuffed: Vec<u8>,
}

impl Samples {
    /// States the size of a frame's components at `1 / 2^halvings` of the picture's size; their samples are allocated when
    /// they come.
    pub(super) fn shape(&mut self, frame: &Scanner, colors: Colors, halvings: u32) {
        self.colors = colors;
        let (width, height) = (frame.frame.width as usize, frame.frame.height as usize);
        let (h_max, v_max) = frame.largest_factors();
        for (to, from) in self.components.iter_mut().zip(&frame.components) {
            let (h, v) = (from.horizontal, from.vertical);
            // What is coded at a half already is halved once less.
            let reduced = |mut expand: usize| {
                let mut halvings = halvings;
                while halvings > 0 && expand.is_multiple_of(2) {
                    (halvings, expand) = (halvings - 1, expand / 2);
                }
                (1 << halvings, expand)
            };
            let ((right, across), (below, down)) = (reduced(h_max / h), reduced(v_max / v));
            to.side = (8 / right, 8 / below);
            to.stride = width.div_ceil(8 * h_max) * h * to.side.0;
            to.width = (width * h).div_ceil(h_max).div_ceil(right);
            to.height = (height * v).div_ceil(v_max).div_ceil(below);
            to.expand = (across, down);
        }
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let bytes = |c: &ComponentSamples| c.samples.capacity() + 128 * c.blocks.capacity();
        let samples = self.components.iter().map(bytes);
        samples.sum::<usize>() + self.unstuffed.capacity()
    }
}
