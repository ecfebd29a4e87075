//! 95 % intervals by bootstrap over brands.
//!
//! Episodes of one brand share its pictures and are no independent evidence, so brands are resampled, never episodes.
//! The resamples depend on the seed and the number of brands alone: every metric and every model sees the same ones,
//! which is what makes differences of models paired.

use rand::Rng;
use rayon::prelude::*;

use logodex_schemas::random::stream;

/// Resamples where nothing else is asked for.
pub const RESAMPLES: u32 = 2000;

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The value itself.
    pub mean: f64,
    /// Its lower end: see [`interval`].
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A value with its interval, and its value in every resample: what a paired difference of two models is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The value and its interval.
    pub interval: Interval,
    /// The statistic in each resample, NaN where it is not defined.
    pub replicates: Vec<f64>,
    /// Brands resampled.
    pub brands: usize,
}

/// How often each brand occurs in each resample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resamples {
    brands: usize,
    weights: Vec<Vec<u32>>,
}

impl Resamples {
    /// `resamples` draws of `brands` brands with replacement.
    pub fn draw(seed: u64, brands: usize, resamples: u32) -> Self {
        let weights = (0..resamples)
            .into_par_iter()
            .map(|resample| {
                let mut rng = stream(seed, "bootstrap", &[u64::from(resample)]);
                let mut weights = vec![0; brands];
                for _ in 0..brands {
                    weights[rng.random_range(0..brands)] += 1;
                }
                weights
            })
            .collect();
        Self { brands, weights }
    }

    /// The estimate of a statistic of brand weights `[B]`; its value is the statistic at weights of one. Resamples in
    /// which it is not defined are left out; none when it is not defined on the brands themselves.
    pub fn estimate(&self, statistic: impl Fn(&[u32]) -> Option<f64> + Sync) -> Option<Estimate> {
        self.estimates(|weights| [statistic(weights)])
            .into_iter()
            .next()?
    }

    /// As [`Self::estimate`], of several statistics that are computed together.
    pub fn estimates<const N: usize>(
        &self,
        statistics: impl Fn(&[u32]) -> [Option<f64>; N] + Sync,
    ) -> [Option<Estimate>; N] {
        self.estimates_with(self, |weights, _| statistics(weights))
    }

    /// As [`Self::estimates`], of statistics that hang on a second set of brands as well: both are resampled, each by
    /// itself, and the interval is as wide as the smaller of the two makes it.
    pub fn estimates_with<const N: usize>(
        &self,
        second: &Self,
        statistics: impl Fn(&[u32], &[u32]) -> [Option<f64>; N] + Sync,
    ) -> [Option<Estimate>; N] {
        let values = statistics(&vec![1; self.brands], &vec![1; second.brands]);
        let pairs = self.weights.par_iter().zip(&second.weights);
        let drawn: Vec<[Option<f64>; N]> = pairs.map(|(a, b)| statistics(a, b)).collect();
        let fewest = self.brands.min(second.brands);
        std::array::from_fn(|i| {
            let replicates: Vec<f64> = drawn.iter().map(|v| v[i].unwrap_or(f64::NAN)).collect();
            values[i].map(|mean| Estimate {
                interval: interval(mean, &replicates, fewest),
                replicates,
                brands: self.brands,
            })
        })
    }
}

/// The interval of a value from its replicates over resamples of `brands` brands.
///
/// Percentiles of the bootstrap are too narrow by √((n − 1) / n) and by the normal tail where Student's belongs. So the
/// percentiles are taken further out, at Φ(−√(n / (n − 1)) · t₀.₉₇₅(n − 1)): Hesterberg's expanded percentile interval
/// (2015, "What teachers should know about the bootstrap", section 4.3). With 100 brands that is 2.31 % for 2.5 %.
pub fn interval(mean: f64, replicates: &[f64], brands: usize) -> Interval {
    let mut values: Vec<f64> = replicates.iter().copied().filter(|v| !v.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return Interval {
            mean,
            low: mean,
            high: mean,
        };
    }
    let tail = tail(brands);
    // A value outside of what resampling gave (a skewed statistic of few brands) is still possible.
    Interval {
        mean,
        low: percentile(&values, tail).min(mean),
        high: percentile(&values, 1.0 - tail).max(mean),
    }
}

/// The percentile of the lower end for `n` brands, as a fraction.
fn tail(n: usize) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let n = n as f64;
    normal_cdf(-(n / (n - 1.0)).sqrt() * student_quantile(n - 1.0))
}

/// The 97.5 % quantile of Student's t with `degrees` of freedom: tabled to 30, beyond by Cornish and Fisher's expansion,
/// which is right to 1e-4 there. Not from a library: every interval on disk hangs on its digits.
fn student_quantile(degrees: f64) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    let z: f64 = 1.959_963_984_540_054;
    match TABLE.get((degrees as usize).saturating_sub(1)) {
        Some(t) => *t,
        None => {
            z + (z.powi(3) + z) / (4.0 * degrees)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * degrees * degrees)
        }
    }
}

/// The standard normal distribution function for x ≤ 0, to 1e-7 (Abramowitz & Stegun 26.2.17).
fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series
}

/// The quantile `q` of sorted values, linear between neighbours (numpy's default).
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Values of episodes or queries, grouped by the brand that each is about.
#[derive(Debug, Clone, PartialEq)]
pub struct ByBrand {
    /// Brands, ascending.
    brands: Vec<u32>,
    /// Group of each value.
    group: Vec<usize>,
    /// Values per group.
    counts: Vec<f64>,
}

impl ByBrand {
    /// Groups values by their brand.
    pub fn new(brand_of_value: &[u32]) -> Self {
        let mut brands = brand_of_value.to_vec();
        brands.sort_unstable();
        brands.dedup();
        let group: Vec<usize> = brand_of_value
            .iter()
            .map(|brand| brands.partition_point(|b| b < brand))
            .collect();
        let mut counts = vec![0.0; brands.len()];
        for &g in &group {
            counts[g] += 1.0;
        }
        Self {
            brands,
            group,
            counts,
        }
    }

    /// Number of brands that have a value.
    pub fn brands(&self) -> usize {
        self.brands.len()
    }

    /// The mean of `values`, each of which counts alike, over `resamples` of [`Self::brands`].
    pub fn mean(&self, values: &[f64], resamples: &Resamples) -> Option<Estimate> {
        let mut sums = vec![0.0; self.counts.len()];
        for (&group, value) in self.group.iter().zip(values) {
            sums[group] += value;
        }
        resamples.estimate(|weights| {
            let (mut sum, mut count) = (0.0, 0.0);
            for ((&w, s), n) in weights.iter().zip(&sums).zip(&self.counts) {
                sum += f64::from(w) * s;
                count += f64::from(w) * n;
            }
            (count > 0.0).then(|| sum / count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn percentiles_are_those_of_numpy() {
        let values: Vec<f64> = (0..11).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.025), 0.25);
        assert_eq!(percentile(&values, 0.975), 9.75);
        assert_eq!(percentile(&[4.0], 0.975), 4.0);
    }

    #[test]
    fn a_mean_is_over_episodes_and_its_interval_over_brands() {
        // Ten brands whose episodes all agree: 40 episodes, but only ten independent values.
        let brands: Vec<u32> = (0..40).map(|e| e % 10).collect();
        let values: Vec<f64> = brands.iter().map(|&b| f64::from(b)).collect();
        let by_brand = ByBrand::new(&brands);
        let interval = by_brand
            .mean(&values, &Resamples::draw(1, 10, 2000))
            .unwrap()
            .interval;
        assert_eq!(interval.mean, 4.5);
        // Standard error over brands: 3.03 / √10 = 0.96, times Student's 2.26; over episodes it would be half of it.
        assert!((2.1..2.7).contains(&interval.low), "{interval:?}");
        assert!((6.3..6.9).contains(&interval.high), "{interval:?}");
    }

    #[test]
    fn intervals_of_means_cover_the_truth_in_93_to_97_studies_of_100() {
        // Brand effect uniform on ±1, an uneven number of episodes, episode noise uniform on ±1, truth 0.
        for brands in [8u32, 40, 100] {
            let studies = 2000u64;
            let covered = (0..studies)
                .into_par_iter()
                .filter(|&study| {
                    let mut rng: ChaCha8Rng = stream(5, "study", &[study, brands.into()]);
                    let effects: Vec<f64> =
                        (0..brands).map(|_| rng.random_range(-1.0..1.0)).collect();
                    let owners: Vec<u32> = (0..4 * brands)
                        .map(|e| {
                            if e % 7 == 0 {
                                e / 7 % brands
                            } else {
                                e % brands
                            }
                        })
                        .collect();
                    let values: Vec<f64> = owners
                        .iter()
                        .map(|&b| effects[b as usize] + rng.random_range(-1.0..1.0))
                        .collect();
                    let resamples = Resamples::draw(study, brands as usize, 400);
                    let i = ByBrand::new(&owners)
                        .mean(&values, &resamples)
                        .unwrap()
                        .interval;
                    i.low <= 0.0 && 0.0 <= i.high
                })
                .count();
            let share = covered as f64 / studies as f64;
            assert!((0.93..=0.97).contains(&share), "{brands} brands: {share}");
        }
    }

    #[test]
    fn percentiles_move_out_as_brands_become_few() {
        // scipy 1.17.1: norm.cdf(-sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))
        for (n, expected) in [
            (5, 0.000_954_1),
            (20, 0.015_880_8),
            (72, 0.022_325_0),
            (1000, 0.024_804_3),
        ] {
            assert!((tail(n) - expected).abs() < 2e-5, "{n}: {}", tail(n));
        }
        assert_eq!(tail(1), 0.0);
    }

    #[test]
    fn resamples_depend_on_the_seed_and_not_on_the_threads() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Resamples::draw(9, 7, 50))
        };
        assert_eq!(on(1), on(2));
        assert_ne!(on(1), Resamples::draw(8, 7, 50));
        assert!(on(1).weights.iter().all(|w| w.iter().sum::<u32>() == 7));
    }

    #[test]
    fn a_statistic_that_is_not_defined_has_no_interval() {
        let resamples = Resamples::draw(1, 2, 20);
        assert!(resamples.estimate(|_| None).is_none());
        // Defined only where both brands occur: the other resamples are left out.
        let estimate = resamples
            .estimate(|w| (w == [1, 1]).then_some(2.0))
            .unwrap();
        let i = estimate.interval;
        assert_eq!((i.mean, i.low, i.high), (2.0, 2.0, 2.0));
        assert!(estimate.replicates.iter().any(|r| r.is_nan()));
    }
}
