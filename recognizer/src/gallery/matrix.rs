//! Vectors as a gallery stores them: in memory, or in a mapped file, of 32 or 16 bits.

use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use logodex_embeddings::nearest::Vectors;
use logodex_schemas::gallery::Numbers;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, View};

/// N vectors of D numbers.
#[derive(Debug, Clone)]
pub struct Matrix {
    dim: usize,
    shape: [usize; 2],
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Owned(Vec<f32>),
    /// Little-endian numbers in a part of a file, which begins at a whole number of them.
    Mapped {
        map: Arc<Mmap>,
        part: std::ops::Range<usize>,
        numbers: Numbers,
    },
}

impl Matrix {
    /// From `[N, D]`.
    ///
    /// # Panics
    /// If `values` is no whole number of vectors, or D is 0: a mistake of the caller.
    pub fn owned(dim: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len() % dim, 0);
        Self {
            dim,
            shape: [values.len() / dim, dim],
            values: Values::Owned(values),
        }
    }

    /// From a part of a mapped file. None where the part is no whole number of vectors, or not aligned.
    pub(super) fn mapped(
        dim: usize,
        map: &Arc<Mmap>,
        part: std::ops::Range<usize>,
        numbers: Numbers,
    ) -> Option<Self> {
        let bytes = map.get(part.clone())?;
        let count = match numbers {
            Numbers::F32 => bytemuck::try_cast_slice::<u8, f32>(bytes).ok()?.len(),
            Numbers::F16 => bytemuck::try_cast_slice::<u8, f16>(bytes).ok()?.len(),
        };
        (dim > 0 && count.is_multiple_of(dim)).then(|| Self {
            dim,
            shape: [count / dim, dim],
            values: Values::Mapped {
                map: Arc::clone(map),
                part,
                numbers,
            },
        })
    }

    /// `[N, D]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of vectors N.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`logodex_embeddings::nearest`] searches it.
    pub fn vectors(&self) -> Vectors<'_> {
        let dim = self.dim;
        match &self.values {
            Values::Owned(values) => Vectors::F32 { dim, values },
            Values::Mapped { map, part, numbers } => {
                let bytes = &map[part.clone()];
                match numbers {
                    Numbers::F32 => Vectors::F32 {
                        dim,
                        values: bytemuck::cast_slice(bytes),
                    },
                    Numbers::F16 => Vectors::F16 {
                        dim,
                        values: bytemuck::cast_slice(bytes),
                    },
                }
            }
        }
    }

    /// The vector at `place`, `[D]`.
    pub fn row(&self, place: usize) -> Vec<f32> {
        let range = place * self.dim..(place + 1) * self.dim;
        match self.vectors() {
            Vectors::F32 { values, .. } => values[range].to_vec(),
            Vectors::F16 { values, .. } => {
                let mut row = vec![0.0; self.dim];
                values[range].convert_to_f32_slice(&mut row);
                row
            }
            Vectors::Packed(_) => unreachable!("no matrix is packed"),
        }
    }
}

/// As safetensors says it.
pub(super) fn dtype(numbers: Numbers) -> Dtype {
    match numbers {
        Numbers::F32 => Dtype::F32,
        Numbers::F16 => Dtype::F16,
    }
}

/// A matrix, to be written; its bytes are made when they are.
pub(super) struct Tensor<'a> {
    pub(super) matrix: &'a Matrix,
    pub(super) numbers: Numbers,
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        dtype(self.numbers)
    }

    fn shape(&self) -> &[usize] {
        self.matrix.shape()
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        let bytes = (0..self.matrix.len()).flat_map(|place| {
            let row = self.matrix.row(place);
            let bytes: Vec<u8> = match self.numbers {
                Numbers::F32 => row.iter().flat_map(|x| x.to_le_bytes()).collect(),
                Numbers::F16 => row
                    .iter()
                    .flat_map(|x| f16::from_f32(*x).to_le_bytes())
                    .collect(),
            };
            bytes
        });
        bytes.collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.matrix.len() * self.matrix.shape()[1] * self.dtype().bitsize() / 8
    }
}
