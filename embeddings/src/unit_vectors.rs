//! Embeddings of length one, side by side: what every protocol compares.

/// Vectors of length one, `[N, D]`, each padded with zeros to a multiple of [`LANES`] values.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitVectors {
    dim: usize,
    stride: usize,
    values: Vec<f32>,
}

/// Independent sums in the inner loops: a fixed number, so that results do not depend on the machine's vector width.
pub const LANES: usize = 8;

impl UnitVectors {
    /// `n` vectors of `dim` values, all zero until [`Self::set`].
    pub fn zeros(n: usize, dim: usize) -> Self {
        let stride = dim.next_multiple_of(LANES);
        Self {
            dim,
            stride,
            values: vec![0.0; n * stride],
        }
    }

    /// Stores `vector` `[D]` divided by its Euclidean norm (in f64, rounded once to f32). Zeros have no direction and stay.
    pub fn set(&mut self, position: usize, vector: &[f32]) {
        let norm = vector
            .iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
            .sqrt();
        if norm > 0.0 {
            self.set_unit(position, vector.iter().map(|&x| f64::from(x) / norm));
        }
    }

    /// Stores a vector of length one, rounded to f32.
    pub fn set_unit(&mut self, position: usize, vector: impl Iterator<Item = f64>) {
        let start = position * self.stride;
        for (slot, x) in self.values[start..].iter_mut().zip(vector) {
            *slot = x as f32;
        }
    }

    /// Embedding size D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The vector at `position`, `[D]`.
    pub fn get(&self, position: usize) -> &[f32] {
        &self.values[position * self.stride..][..self.dim]
    }

    /// The vector at `position` with its padding: a whole number of chunks of [`LANES`].
    pub fn chunks(&self, position: usize) -> &[[f32; LANES]] {
        self.values[position * self.stride..][..self.stride]
            .as_chunks()
            .0
    }
}

/// The mean of vectors `[D]`, in f64 and in their order, not brought to length one.
pub fn mean<'a>(dim: usize, vectors: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f64> {
    let n = vectors.len() as f64;
    let mut mean = vec![0f64; dim];
    for vector in vectors {
        for (sum, &x) in mean.iter_mut().zip(vector) {
            *sum += f64::from(x);
        }
    }
    for value in &mut mean {
        *value /= n;
    }
    mean
}

/// The Euclidean norm.
pub fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}
