//! The components of a JPEG as they are coded: Y, Cb and Cr, chroma perhaps smaller. `color` makes RGB of them.

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
}

/// The components of a decoded JPEG, and what is kept from one file to the next.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Y, Cb and Cr; of a grey picture only the first is meant.
    pub(super) components: [ComponentSamples; 3],
    /// How many are meant: 1 or 3.
    pub(super) n: usize,
    /// The entropy-coded data of one stretch.
    pub(super) unstuffed: Vec<u8>,
}

impl Samples {
    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let samples = self.components.iter().map(|c| c.samples.capacity());
        samples.sum::<usize>() + self.unstuffed.capacity()
    }
}
