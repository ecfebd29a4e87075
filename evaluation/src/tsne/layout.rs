//! Exact t-SNE (van der Maaten & Hinton 2008) in three dimensions, step by step as scikit-learn 1.9 takes it, in f64 and
//! without threads: the same points give the same map. Crate `bhtsne` draws unseeded random numbers, so its maps do not.
//!
//! O(n²) time and memory for each of at most 1,000 steps: made for hundreds of points.

use rand::Rng;

use logodex_schemas::random::stream;

/// The dimensions of the map.
pub const DIM: usize = 3;
/// A point of the map.
pub type Place = [f64; DIM];

/// Of the Student-t distribution: dimensions − 1 (van der Maaten 2009), as in scikit-learn.
const DEGREES_OF_FREEDOM: f64 = (DIM - 1) as f64;
const EARLY_EXAGGERATION: f64 = 12.0;
/// Steps with early exaggeration and little momentum.
const EARLY_STEPS: u32 = 250;
/// Steps in all.
const STEPS: u32 = 1000;
/// Steps between two looks at whether to stop.
const CHECK: u32 = 50;
/// Steps without progress after which to stop.
const PATIENCE: u32 = 300;
/// The gradient's norm at which to stop.
const FLAT: f64 = 1e-7;
/// Standard deviation of the first coordinate at the start.
const START: f64 = 1e-4;
/// Neither p nor q is less.
const LEAST: f64 = f64::EPSILON;

/// Where the points came to lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The points, about their mean, `[n]`.
    pub at: Vec<Place>,
    /// Effective number of neighbours: 30, or (n − 1) / 3 where that is less.
    pub perplexity: f64,
    /// The Kullback–Leibler divergence at these points, in nats.
    pub kl_divergence: f64,
}

/// Lays out `points` (`[n][D]`, n at least 4).
pub fn layout(points: &[Vec<f64>]) -> Layout {
    let n = points.len();
    let perplexity = ((n as f64 - 1.0) / 3.0).min(30.0);
    let p = joint_probabilities(points, perplexity);
    let mut at = principal_components(points);
    // scikit-learn's, but for its lower limit of 50, at which a map of few points goes to and fro and never settles.
    let rate = n as f64 / EARLY_EXAGGERATION / 4.0;
    descend(&p, &mut at, 0..EARLY_STEPS, EARLY_EXAGGERATION, 0.5, rate);
    descend(&p, &mut at, EARLY_STEPS..STEPS, 1.0, 0.8, rate);
    let mean: Place = std::array::from_fn(|d| at.iter().map(|y| y[d]).sum::<f64>() / n as f64);
    for y in &mut at {
        *y = std::array::from_fn(|d| y[d] - mean[d]);
    }
    Layout {
        kl_divergence: kl_divergence(&p, &at),
        at,
        perplexity,
    }
}

/// Gradient descent with momentum and a gain for each coordinate, which grows while its gradient keeps its sign.
fn descend(
    p: &[f64],
    at: &mut [Place],
    steps: std::ops::Range<u32>,
    exaggeration: f64,
    momentum: f64,
    rate: f64,
) {
    let mut update = vec![[0.0; DIM]; at.len()];
    let mut gains = vec![[1.0f64; DIM]; at.len()];
    let (mut best, mut best_step) = (f64::INFINITY, steps.start);
    for step in steps {
        let is_check = (step + 1) % CHECK == 0;
        let error = is_check.then(|| kl_divergence(p, at));
        let mut norm = 0.0;
        for (i, slopes) in gradient(p, at, exaggeration).into_iter().enumerate() {
            for (d, slope) in slopes.into_iter().enumerate() {
                let (update, gain) = (&mut update[i][d], &mut gains[i][d]);
                *gain = match *update * slope < 0.0 {
                    true => *gain + 0.2,
                    false => (*gain * 0.8).max(0.01),
                };
                let slope = slope * *gain;
                norm += slope * slope;
                *update = momentum * *update - rate * slope;
                at[i][d] += *update;
            }
        }
        if let Some(error) = error {
            if error < best {
                (best, best_step) = (error, step);
            }
            if step - best_step > PATIENCE || norm.sqrt() <= FLAT {
                break;
            }
        }
    }
}

/// How likely i and j are neighbours, for each i < j in rows, `[n (n − 1) / 2]`: Gaussians about every point, each as
/// wide as gives it `perplexity` neighbours, made symmetric. Over all ordered pairs the sum is 1.
pub fn joint_probabilities(points: &[Vec<f64>], perplexity: f64) -> Vec<f64> {
    let n = points.len();
    let distances = squared_distances(points);
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| conditional(&distances[i * n..][..n], i, perplexity))
        .collect();
    let sum: f64 = rows.iter().flatten().sum::<f64>() * 2.0;
    pairs(n)
        .map(|(i, j)| ((rows[i][j] + rows[j][i]) / sum).max(LEAST))
        .collect()
}

/// p(j | i) of a point i, by bisection of the Gaussian's precision.
fn conditional(squared: &[f64], i: usize, perplexity: f64) -> Vec<f64> {
    let target = perplexity.ln();
    let (mut low, mut high, mut precision) = (None, None, 1.0);
    let mut p = vec![0.0; squared.len()];
    for _ in 0..100 {
        for (j, (p, d)) in p.iter_mut().zip(squared).enumerate() {
            *p = if j == i { 0.0 } else { (-d * precision).exp() };
        }
        let sum = Some(p.iter().sum::<f64>()).filter(|sum| *sum > 0.0);
        let sum = sum.unwrap_or(1e-8);
        let mut mean = 0.0;
        for (p, d) in p.iter_mut().zip(squared) {
            *p /= sum;
            mean += *p * d;
        }
        let excess = sum.ln() + precision * mean - target;
        if excess.abs() <= 1e-5 {
            break;
        }
        if excess > 0.0 {
            low = Some(precision);
            precision = high.map_or(precision * 2.0, |high| (precision + high) / 2.0);
        } else {
            high = Some(precision);
            precision = low.map_or(precision / 2.0, |low| (precision + low) / 2.0);
        }
    }
    p
}

/// Student-t weight of every pair of the map, and their sum over i < j.
fn weights(at: &[Place]) -> (Vec<f64>, f64) {
    let mut all = Vec::with_capacity(at.len() * (at.len() - 1) / 2);
    for (i, a) in at.iter().enumerate() {
        all.extend(at[i + 1..].iter().map(|b| {
            let t = 1.0 + squared_distance(a, b) / DEGREES_OF_FREEDOM;
            // t to the power of −(dof + 1) / 2.
            1.0 / (t * t.sqrt())
        }));
    }
    let sum = all.iter().sum();
    (all, sum)
}

/// KL(P ‖ Q) in nats: P as of [`joint_probabilities`], Q of the map.
pub fn kl_divergence(p: &[f64], at: &[Place]) -> f64 {
    let (weights, sum) = weights(at);
    let terms = p.iter().zip(weights).map(|(p, w)| {
        let q = (w / (2.0 * sum)).max(LEAST);
        p * (p.max(LEAST) / q).ln()
    });
    2.0 * terms.sum::<f64>()
}

/// The direction of steepest ascent of the divergence, `[n]`, of `exaggeration` × P: scikit-learn's, which weighs the
/// pull of a pair by t^(−(dof + 1) / 2), where the derivative, strictly, has t^(−1).
pub fn gradient(p: &[f64], at: &[Place], exaggeration: f64) -> Vec<Place> {
    let (weights, sum) = weights(at);
    let factor = 2.0 * (DEGREES_OF_FREEDOM + 1.0) / DEGREES_OF_FREEDOM;
    let mut gradient = vec![[0.0; DIM]; at.len()];
    for ((i, j), (p, w)) in pairs(at.len()).zip(p.iter().zip(weights)) {
        let q = (w / (2.0 * sum)).max(LEAST);
        let pull = factor * (p * exaggeration - q) * w;
        for d in 0..DIM {
            let slope = pull * (at[i][d] - at[j][d]);
            gradient[i][d] += slope;
            gradient[j][d] -= slope;
        }
    }
    gradient
}

/// Where the descent starts: the first three principal components, the first with a standard deviation of 1e-4. The
/// sign makes each component's greatest loading positive. Points that do not differ start, and stay, in one place.
pub fn principal_components(points: &[Vec<f64>]) -> Vec<Place> {
    let n = points.len();
    let dim = points.first().map_or(0, Vec::len);
    let mean: Vec<f64> = (0..dim)
        .map(|d| points.iter().map(|x| x[d]).sum::<f64>() / n as f64)
        .collect();
    let centred: Vec<Vec<f64>> = points
        .iter()
        .map(|x| x.iter().zip(&mean).map(|(x, m)| x - m).collect())
        .collect();
    let gram: Vec<f64> = centred
        .iter()
        .flat_map(|a| centred.iter().map(|b| dot(a, b)))
        .collect();
    let vectors = leading_eigenvectors(&gram, n);
    let mut at = vec![[0.0; DIM]; n];
    for (d, vector) in vectors.iter().enumerate() {
        let scores = times(&gram, vector);
        let scale = dot(vector, &scores).sqrt().recip();
        let loadings = (0..dim).map(|c| {
            centred
                .iter()
                .zip(vector)
                .map(|(x, v)| x[c] * v)
                .sum::<f64>()
        });
        let greatest = loadings.fold(0.0f64, |a, b| if b.abs() > a.abs() { b } else { a });
        for (y, score) in at.iter_mut().zip(scores) {
            y[d] = score * scale * greatest.signum();
        }
    }
    let variance = at.iter().map(|y| y[0] * y[0]).sum::<f64>() / n as f64;
    if variance > 0.0 {
        let scale = START / variance.sqrt();
        at.iter_mut().flatten().for_each(|y| *y *= scale);
    }
    at
}

/// Unit eigenvectors of the three greatest eigenvalues of a Gram matrix `[n, n]`, or as many as are not zero, by
/// orthogonal iteration.
fn leading_eigenvectors(gram: &[f64], n: usize) -> Vec<Vec<f64>> {
    let mut rng = stream(0, "principal components", &[]);
    let mut vectors: Vec<Vec<f64>> = (0..DIM)
        .map(|_| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect())
        .collect();
    let trace: f64 = (0..n).map(|i| gram[i * n + i]).sum();
    for _ in 0..1000 {
        let mut next: Vec<Vec<f64>> = Vec::new();
        for vector in &vectors {
            let mut image = times(gram, vector);
            // Twice, because once leaves rounding errors of the order of what is taken away.
            for _ in 0..2 {
                for other in &next {
                    let along = dot(&image, other);
                    image
                        .iter_mut()
                        .zip(other)
                        .for_each(|(x, o)| *x -= along * o);
                }
            }
            let norm = dot(&image, &image).sqrt();
            if norm <= 1e-12 * trace {
                break;
            }
            next.push(image.iter().map(|x| x / norm).collect());
        }
        let moved = vectors.iter().flatten().zip(next.iter().flatten());
        let is_done = moved.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-12;
        vectors = next;
        if is_done {
            break;
        }
    }
    vectors
}

/// Share of neighbourhoods kept (Venna & Kaski 2001), from 0 to 1: how few of each point's `k` nearest on the map were
/// not among its `k` nearest before, by rank. Equally far points share the best rank. `k` is below n / 2.
pub fn trustworthiness(points: &[Vec<f64>], at: &[Place], k: usize) -> f64 {
    let n = points.len();
    let distances = squared_distances(points);
    let mut beyond = 0;
    for i in 0..n {
        let before = &distances[i * n..][..n];
        let mut on_map: Vec<(f64, usize)> = (0..n)
            .filter(|&j| j != i)
            .map(|j| (squared_distance(&at[i], &at[j]), j))
            .collect();
        on_map.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(_, j) in on_map.iter().take(k) {
            let nearer = (0..n).filter(|&o| o != i && before[o] < before[j]);
            beyond += (nearer.count() + 1).saturating_sub(k);
        }
    }
    let (n, k) = (n as f64, k as f64);
    1.0 - beyond as f64 * (2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)))
}

/// Every i < j, in rows.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// `[n, n]`.
fn squared_distances(points: &[Vec<f64>]) -> Vec<f64> {
    let row =
        |a: &Vec<f64>| -> Vec<f64> { points.iter().map(|b| squared_distance(a, b)).collect() };
    points.iter().flat_map(row).collect()
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A square matrix times a vector.
fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix
        .chunks(vector.len())
        .map(|row| dot(row, vector))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brands of so many points about axes of their own.
    fn brands(count: usize, of: usize, noise: f64) -> Vec<Vec<f64>> {
        let mut rng = stream(3, "planted brands", &[]);
        (0..count * of)
            .map(|i| {
                let mut point: Vec<f64> = (0..12)
                    .map(|d| f64::from(d == i / of) + noise * rng.random_range(-1.0..1.0))
                    .collect();
                let norm = dot(&point, &point).sqrt();
                point.iter_mut().for_each(|x| *x /= norm);
                point
            })
            .collect()
    }

    #[test]
    fn well_separated_brands_are_separate_clusters() {
        for noise in [0.0, 0.1] {
            let points = brands(6, 15, noise);
            let found = layout(&points);
            for (i, a) in found.at.iter().enumerate() {
                let apart = |same: bool| {
                    let others = found.at.iter().enumerate();
                    let asked = others.filter(move |(j, _)| (j / 15 == i / 15) == same);
                    asked.map(|(_, b)| squared_distance(a, b).sqrt())
                };
                let widest = apart(true).fold(0.0, f64::max);
                let nearest = apart(false).fold(f64::INFINITY, f64::min);
                assert!(nearest > widest, "{noise} {i}: {nearest} {widest}");
            }
            assert!(trustworthiness(&points, &found.at, 10) > 0.9);
            assert!(found.kl_divergence > 0.0 && found.kl_divergence < 1.0);
        }
    }

    #[test]
    fn points_that_do_not_differ_stay_together() {
        let found = layout(&vec![vec![0.6, 0.8]; 9]);
        assert!(found.at.iter().all(|y| *y == found.at[0]));
        assert!(found.kl_divergence.abs() < 1e-12);
        assert_eq!(trustworthiness(&vec![vec![0.6, 0.8]; 9], &found.at, 4), 1.0);
    }

    #[test]
    fn a_map_that_shuffles_its_points_is_not_trusted() {
        let points: Vec<Vec<f64>> = (0..40).map(|i| vec![f64::from(i)]).collect();
        let place = |i: u32| [f64::from(i), 0.0, 0.0];
        let kept: Vec<Place> = (0..40).map(place).collect();
        let shuffled: Vec<Place> = (0..40).map(|i| place(i * 17 % 40)).collect();
        assert_eq!(trustworthiness(&points, &kept, 5), 1.0);
        assert!(trustworthiness(&points, &shuffled, 5) < 0.7);
    }
}
