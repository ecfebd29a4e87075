//! Tells embeddings that hardly distinguish anything, before a protocol makes numbers of them.

use std::collections::BTreeSet;

use crate::embeddings::fold_index::FoldIndex;
use logodex_embeddings::unit_vectors::UnitVectors;

/// Root mean squared distance of two unit vectors below which all of them are a point: no threshold of the paper's grid
/// lies between them, and their similarities differ by little more than fp32's rounding.
const POINT: f64 = 0.01;

/// What was seen where the vectors have collapsed: all to a point, or to fewer of them than there are brands.
pub fn collapse(fold: &FoldIndex, vectors: &UnitVectors) -> Option<String> {
    let n = fold.len();
    let mut mean = vec![0.0; vectors.dim()];
    for position in 0..n {
        for (sum, &x) in mean.iter_mut().zip(vectors.get(position)) {
            *sum += f64::from(x) / n as f64;
        }
    }
    // Of unit vectors x with mean m, the mean of |x - y|² over all pairs is 2 (1 - |m|²).
    let squared = 2.0 * (1.0 - mean.iter().map(|m| m * m).sum::<f64>());
    let apart = squared.max(0.0).sqrt();
    if apart < POINT {
        return Some(format!("two of them lie {apart:.1e} apart"));
    }
    let bits = |position| vectors.get(position).iter().map(|x| x.to_bits()).collect();
    let different = (0..n).map(bits).collect::<BTreeSet<Vec<u32>>>().len();
    (different < fold.brands.len()).then(|| {
        format!(
            "there are only {different} different ones of {} brands",
            fold.brands.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::fold_index::of_sizes;

    fn collapse_of(vector: impl Fn(usize) -> [f32; 3]) -> Option<String> {
        let fold = of_sizes(&[4, 4, 4], 1);
        let mut vectors = UnitVectors::zeros(12, 3);
        (0..12).for_each(|i| vectors.set(i, &vector(i)));
        collapse(&fold, &vectors)
    }

    #[test]
    fn a_point_and_fewer_vectors_than_brands_are_a_collapse_and_narrow_or_perfect_ones_are_none() {
        let at_a_point = collapse_of(|i| [1.0, 1e-4 * i as f32, 0.0]).unwrap();
        assert!(at_a_point.contains("apart"), "{at_a_point}");
        assert!(collapse_of(|_| [0.3, -0.2, 0.7]).is_some());
        let two = collapse_of(|i| {
            if i < 5 {
                [1.0, 0.0, 0.0]
            } else {
                [0.0, 1.0, 0.0]
            }
        });
        assert_eq!(two.unwrap(), "there are only 2 different ones of 3 brands");
        assert_eq!(collapse_of(|i| [1.0, 0.01 * i as f32, 0.0]), None);
        let mut perfect = [[0.0; 3]; 3];
        (0..3).for_each(|b| perfect[b][b] = 1.0);
        assert_eq!(collapse_of(|i| perfect[i / 4]), None);
    }
}
