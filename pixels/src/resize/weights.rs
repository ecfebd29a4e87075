//! The triangle filter of Pillow's `BILINEAR` with antialiasing, as integer weights: a source pixel counts by how near its
//! centre lies to that of the output, and not at all beyond one output pixel (one source pixel, where the picture
//! grows). Weights beyond the crop's edges are left out and the rest made to sum to one (Pillow's `precompute_coeffs`).
//!
//! The filter's values are ratios of integers, so that no float is needed: every machine finds the same weights.

/// Outputs that are computed together, and source pixels that are multiplied together.
pub(super) const GROUP: usize = 8;

/// What a filter is made for: a line of a crop, and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Line {
    /// Pixels of the image.
    pub(super) n: u32,
    /// Pixels of the output.
    pub(super) out: u32,
    /// A stored pixel is the mean of `2^halvings` of the image's, of which `begin` lie before the crop.
    pub(super) halvings: u32,
    pub(super) begin: u32,
}

impl Line {
    /// Of a crop's pixels from `begin` on, `n` of them.
    pub(super) fn new(begin: u32, n: u32, out: u32, halvings: u32) -> Self {
        let begin = begin % (1 << halvings);
        Self {
            n,
            out,
            halvings,
            begin,
        }
    }

    /// Stored pixels.
    pub(super) fn stored(self) -> usize {
        (self.begin + self.n).div_ceil(1 << self.halvings) as usize
    }

    /// As [`triangle`], from stored pixels: each weighs what all of its pixels weigh.
    fn triangle(self, one: u64, mut each: impl FnMut(usize, usize, &[u64])) {
        let stored = |x: usize| (self.begin as usize + x) >> self.halvings;
        let mut sums = Vec::new();
        triangle(self.n, self.out, one, |i, first, weights| {
            sums.clear();
            sums.resize(stored(first + weights.len() - 1) + 1 - stored(first), 0);
            for (x, weight) in (first..).zip(weights) {
                sums[stored(x) - stored(first)] += weight;
            }
            each(i, stored(first), &sums);
        });
    }
}

/// From `n` source pixels to `out`: calls `each` for every output in turn with its number, its first source pixel and its
/// weights, which sum to exactly `one`.
pub(super) fn triangle(n: u32, out: u32, one: u64, mut each: impl FnMut(usize, usize, &[u64])) {
    let (n, out) = (i64::from(n), i64::from(out));
    // In units of 1 / (2 · out) source pixels: half the width of the triangle, and what an output and a pixel advance.
    let support = 2 * n.max(out);
    let (mut heights, mut weights) = (Vec::new(), Vec::new());
    for i in 0..out {
        let centre = (2 * i + 1) * n;
        let distance = |x: i64| ((2 * x + 1) * out - centre).abs();
        // The first and the last pixel whose centre lies under the triangle.
        let first = ((centre - support - out).div_euclid(2 * out) + 1).max(0);
        let last = ((centre + support - out - 1).div_euclid(2 * out)).min(n - 1);
        heights.clear();
        heights.extend((first..=last).map(|x| (support - distance(x)) as u64));
        let sum: u64 = heights.iter().sum();
        // Rounded where they have been added up, so that the roundings cancel.
        weights.clear();
        let (mut height, mut before) = (0, 0);
        for h in &heights {
            height += h;
            let until = (height * one + sum / 2) / sum;
            weights.push(until - before);
            before = until;
        }
        each(i as usize, first as usize, &weights);
    }
}

/// The vertical filter: what each row of the output takes of which rows of the source.
#[derive(Debug, Default)]
pub(super) struct Vertical {
    /// First source row, and where the weights begin and end.
    rows: Vec<(usize, usize, usize)>,
    /// Of [`Vertical::ONE`]; one is a little less.
    weights: Vec<u16>,
}

impl Vertical {
    /// What weights sum to.
    pub(super) const ONE: u64 = 1 << 16;

    /// The filter of a column.
    pub(super) fn new(line: Line) -> Self {
        let mut filter = Self::default();
        line.triangle(Self::ONE, |_, first, weights| {
            let begin = filter.weights.len();
            let narrow = weights.iter().map(|&w| w.min(0xffff) as u16);
            filter.weights.extend(narrow);
            filter.rows.push((first, begin, filter.weights.len()));
        });
        filter
    }

    /// Per output row: the first source row, and the weights of that and the following.
    #[inline(always)]
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &[u16])> {
        let rows = self.rows.iter();
        rows.map(|&(first, begin, end)| (first, &self.weights[begin..end]))
    }

    /// Numbers held.
    pub(super) fn held(&self) -> usize {
        self.weights.len()
    }
}

/// The horizontal filter, laid out for [`super::passes`].
#[derive(Debug, Default)]
pub(super) struct Horizontal {
    /// First source pixel of each output; zeros up to a multiple of [`GROUP`].
    firsts: Vec<u32>,
    /// Source pixels of each output, a multiple of [`GROUP`].
    taps: usize,
    /// Of [`Horizontal::ONE`], `[outputs / 8, taps / 8, 4, 2, 8]`.
    weights: Vec<[[i16; GROUP]; 2]>,
    /// Source pixels.
    n: usize,
}

impl Horizontal {
    /// What weights sum to.
    pub(super) const ONE: u64 = 1 << 14;

    /// The filter of a row.
    pub(super) fn new(line: Line) -> Self {
        let mut flat: Vec<(usize, Vec<u64>)> = Vec::with_capacity(line.out as usize);
        line.triangle(Self::ONE, |_, first, weights| {
            flat.push((first, weights.to_vec()));
        });
        let most = flat.iter().map(|(_, weights)| weights.len()).max();
        let taps = most.unwrap_or(0).next_multiple_of(GROUP);
        let outputs = flat.len().next_multiple_of(GROUP);
        let mut firsts: Vec<u32> = flat.iter().map(|&(first, _)| first as u32).collect();
        firsts.resize(outputs, 0);
        let mut weights = vec![[[0; GROUP]; 2]; outputs * taps / (2 * GROUP)];
        for (i, (_, of)) in flat.iter().enumerate() {
            for (tap, &weight) in of.iter().enumerate() {
                let at = ((i / GROUP * (taps / GROUP)) + tap / GROUP) * 4 + i % 4;
                weights[at][i % GROUP / 4][tap % GROUP] = weight as i16;
            }
        }
        Self {
            firsts,
            taps,
            weights,
            n: line.stored(),
        }
    }

    /// Source pixels of each output, a multiple of [`GROUP`].
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// How many pixels a row must have, those beyond its end (of weight zero) included: all places that
    /// [`Horizontal::groups`] gives, and [`Horizontal::taps`] from there on, lie before.
    pub(super) fn reach(&self) -> usize {
        self.n + self.taps
    }

    /// Outputs, up to a multiple of [`GROUP`].
    pub(super) fn outputs(&self) -> usize {
        self.firsts.len()
    }

    /// By groups of outputs: the first source pixel of each, and the weights, `[taps / 8, 4, 2, 8]`: of outputs 0 and 4, 1
    /// and 5, 2 and 6, 3 and 7.
    #[inline(always)]
    pub(super) fn groups(&self) -> impl Iterator<Item = (&[u32; GROUP], &[[[i16; GROUP]; 2]])> {
        let weights = self.weights.chunks_exact(self.taps / GROUP * 4);
        self.firsts.as_chunks().0.iter().zip(weights)
    }

    /// Numbers held.
    pub(super) fn held(&self) -> usize {
        self.weights.len() * 2 * GROUP
    }
}
