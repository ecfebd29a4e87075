//! The components of a JPEG as they are coded, each perhaps smaller than the picture. `color` makes RGB of them.

use super::frame::Scanner;

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
    /// Samples from one row to the next.
    pub(super) stride: usize,
    /// Columns that are part of the picture.
    pub(super) width: usize,
    /// Rows that are part of the picture.
    pub(super) height: usize,
    /// How many pixels a sample stands for, across and down.
    pub(super) expand: (usize, usize),
}

impl ComponentSamples {
    /// A row's columns that are part of the picture.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..][..self.width]
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
    /// States the size of a frame's components; their samples are allocated when they come.
    pub(super) fn shape(&mut self, frame: &Scanner, colors: Colors) {
        self.colors = colors;
        let (width, height) = (frame.frame.width as usize, frame.frame.height as usize);
        let (h_max, v_max) = frame.largest_factors();
        for (to, from) in self.components.iter_mut().zip(&frame.components) {
            let (h, v) = (from.horizontal, from.vertical);
            to.stride = width.div_ceil(8 * h_max) * h * 8;
            to.width = (width * h).div_ceil(h_max);
            to.height = (height * v).div_ceil(v_max);
            to.expand = (h_max / h, v_max / v);
        }
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let samples = self.components.iter().map(|c| c.samples.capacity());
        samples.sum::<usize>() + self.unstuffed.capacity()
    }
}
