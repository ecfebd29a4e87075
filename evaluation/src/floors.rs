//! The floors, printed beside every result so that nobody is fooled: a model that knows nothing, one that rejects
//! everything, and one that sees colours alone. None depends on the model that is judged.

use logodex_dataset::{Dataset, DatasetError};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::embeddings::fold_index::{FoldIndex, Folds};
use crate::intervals::bootstrap::ByBrand;
use crate::intervals::tally::{Asked, Bootstrap, Tally};
use crate::metrics::per_episode::Metric;
use crate::metrics::roc::FARS;
use crate::protocols::open_set::{Galleries, OPEN_SET};
use crate::protocols::paper::{PAPER, PAPER_COSINE, PAPER_COSINE_ORACLE, PAPER_ORACLE, Round};
use crate::protocols::questions::Questions;
use logodex_embeddings::set::EmbeddingSet;
use logodex_embeddings::unit_vectors::UnitVectors;
use logodex_schemas::evaluation::EvaluationRow;
use logodex_schemas::random::stream;

/// Name of the floor of Gaussian embeddings.
pub const RANDOM: &str = "random";
/// Name of the floor that accepts nothing.
pub const REJECT_ALL: &str = "reject_all";
/// Name of the floor of colours alone.
pub const COLOUR_HISTOGRAM: &str = "colour_histogram";
/// The floors, in the order in which they are printed.
pub const FLOORS: [&str; 3] = [RANDOM, COLOUR_HISTOGRAM, REJECT_ALL];
/// Size of the random embeddings.
pub const RANDOM_DIM: usize = 128;

/// A Gaussian vector per row, derived from (seed, dataset row), L2-normalised.
fn random_vectors(seed: u64, fold: &FoldIndex) -> UnitVectors {
    let mut vectors = UnitVectors::zeros(fold.len(), RANDOM_DIM);
    for (position, &row) in fold.rows.iter().enumerate() {
        let mut rng = stream(seed, "random floor", &[row.cast_unsigned()]);
        let vector: Vec<f32> = (0..RANDOM_DIM).map(|_| gaussian(&mut rng) as f32).collect();
        vectors.set(position, &vector);
    }
    vectors
}

/// Levels of each colour in a histogram.
const LEVELS: usize = 8;
/// Cells of a histogram.
const CELLS: usize = LEVELS * LEVELS * LEVELS;

/// The colours of a picture `[side, side, 3]` as an embedding of 8 × 8 × 8 numbers: the square root of the share of its
/// pixels in each cell of RGB, so that cosine similarity is Bhattacharyya's coefficient. What telling brands by their
/// colours alone comes to.
pub fn colour_histogram(rgb: &[u8]) -> Vec<f32> {
    let mut counts = vec![0u32; CELLS];
    let (pixels, _) = rgb.as_chunks::<3>();
    for pixel in pixels {
        let cell = pixel.iter().fold(0, |cell, &value| {
            cell * LEVELS + usize::from(value) * LEVELS / 256
        });
        counts[cell] += 1;
    }
    let share = |n: u32| (f64::from(n) / pixels.len() as f64).sqrt() as f32;
    counts.into_iter().map(share).collect()
}

/// Pictures gathered at a time.
const GATHER: usize = 256;

/// The [`colour_histogram`] of each of a dataset's `rows`, as embeddings.
///
/// # Errors
/// A damaged dataset.
pub fn colour_histograms(dataset: &Dataset, rows: &[i64]) -> Result<EmbeddingSet, DatasetError> {
    let mut embeddings = Vec::new();
    let mut pixels = Vec::new();
    for rows in rows.chunks(GATHER) {
        let rows: Vec<u64> = rows.iter().map(|row| row.cast_unsigned()).collect();
        pixels.resize(rows.len() * dataset.row_bytes(), 0);
        dataset.gather(&rows, &mut pixels)?;
        for picture in pixels.chunks(dataset.row_bytes()) {
            embeddings.extend(colour_histogram(picture));
        }
    }
    let brand = |row: &i64| i64::from(dataset.brand_of(row.cast_unsigned()));
    Ok(EmbeddingSet {
        dim: CELLS,
        embeddings,
        brand: rows.iter().map(brand).collect(),
        row: rows.to_vec(),
    })
}

/// The lines of [`RANDOM`]: embeddings that know nothing.
pub fn random(questions: &Questions, bootstrap: &Bootstrap, folds: &Folds) -> Vec<EvaluationRow> {
    let vectors = random_vectors(questions.seed, &folds.test);
    let val = folds.val.as_ref();
    let val = val.map(|val| random_vectors(questions.seed, val));
    let judged = questions.judge(RANDOM, bootstrap, folds, (&vectors, val.as_ref()));
    judged.rows
}

/// The lines of [`REJECT_ALL`].
pub fn reject_all(
    questions: &Questions,
    bootstrap: &Bootstrap,
    folds: &Folds,
) -> Vec<EvaluationRow> {
    let mut tally = Tally::new(REJECT_ALL, questions.region, bootstrap);
    for round in &questions.paper {
        reject_all_queries(&mut tally, round, questions.cosine());
    }
    for galleries in &questions.open_set {
        reject_all_probes(&mut tally, galleries, folds.test.brands.len());
    }
    tally.rows
}

/// The floor that accepts nothing, in the paper's test: right about every negative, and no more.
fn reject_all_queries(tally: &mut Tally, round: &Round, cosine: bool) {
    let accuracy: Vec<f64> = round
        .test
        .iter()
        .map(|e| e.queries.iter().filter(|q| !q.positive).count() as f64 / e.queries.len() as f64)
        .collect();
    let zeros = vec![0.0; accuracy.len()];
    let protocols = [PAPER, PAPER_ORACLE, PAPER_COSINE, PAPER_COSINE_ORACLE];
    for protocol in &protocols[..if cosine { 4 } else { 2 }] {
        for metric in Metric::THRESHOLDED {
            let values = match metric {
                Metric::Accuracy => &accuracy,
                _ => &zeros,
            };
            let asked = Asked::all(protocol, round.shots);
            tally.mean(asked, metric.name(), &round.by_brand, values);
        }
    }
}

/// The same in the open-set protocol: no false accept, and nobody named.
fn reject_all_probes(tally: &mut Tally, galleries: &Galleries, brands: usize) {
    let all: Vec<u32> = (0..brands as u32).collect();
    let by_brand = ByBrand::new(&all);
    for (_, far) in FARS {
        for metric in ["far_at_val", "dir_at_val", "dir_at"] {
            let asked = Asked::all(OPEN_SET, galleries.shots);
            tally.mean(
                asked,
                &format!("{metric}_{far}"),
                &by_brand,
                &vec![0.0; brands],
            );
        }
    }
}

/// A standard normal number, by ratio of uniforms (Kinderman & Monahan 1977). The logarithm only accepts or rejects,
/// so the numbers do not carry the last bits of a platform's libm, as Box and Muller's would.
fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    /// √(2 / e): half the height of the region.
    const HALF_HEIGHT: f64 = 0.857_763_884_960_706_8;
    loop {
        let u: f64 = 1.0 - rng.random::<f64>(); // (0, 1]
        let x = rng.random_range(-HALF_HEIGHT..HALF_HEIGHT) / u;
        if x * x <= -4.0 * u.ln() {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_colours_and_has_length_one() {
        let histogram = colour_histogram(&[0, 0, 0, 31, 31, 31, 32, 0, 255, 255, 255, 255]);
        assert_eq!(histogram.len(), 512);
        assert_eq!((histogram[0], histogram[511]), (0.5f32.sqrt(), 0.5));
        assert_eq!(histogram[64 + 7], 0.5);
        assert!((histogram.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn numbers_are_standard_normal() {
        let mut rng = stream(1, "gaussian", &[]);
        let numbers: Vec<f64> = (0..200_000).map(|_| gaussian(&mut rng)).collect();
        let moment = |k: i32| numbers.iter().map(|x| x.powi(k)).sum::<f64>() / numbers.len() as f64;
        assert!(moment(1).abs() < 0.01, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.015, "{}", moment(2));
        assert!(moment(3).abs() < 0.03, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
    }
}
