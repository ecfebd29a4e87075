//! Accepting and naming: what a threshold on a score makes of known and unknown probes, at every threshold at once.
//!
//! A threshold accepts all probes of its score or none, so curves have a vertex per distinct score and equal scores
//! favour nobody. Each probe counts as often as its brand's weight says: one sort serves every resample.

/// The false-accept rates asked for, and how they are named.
pub const FARS: [(f64, &str); 3] = [(0.1, "far_10"), (0.01, "far_1"), (0.001, "far_01")];

/// The metrics of [`Draw::curve`], in its order.
pub const METRICS: [&str; 10] = [
    "auroc",
    "eer",
    "fpr_at_95tpr",
    "oscr",
    "tar_at_far_10",
    "tar_at_far_1",
    "tar_at_far_01",
    "dir_at_far_10",
    "dir_at_far_1",
    "dir_at_far_01",
];

/// A probe and its best match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// The best similarity to an enrolled brand.
    pub score: f64,
    /// Place of its brand.
    pub brand: u32,
    /// Whether its brand is enrolled.
    pub known: bool,
    /// Whether the best match is its own brand.
    pub named: bool,
}

/// The probes of one draw, highest score first.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    probes: Vec<Probe>,
}

/// Where a threshold stands: rates of unknown probes accepted, of known ones, and of known ones rightly named.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Vertex {
    far: f64,
    tar: f64,
    dir: f64,
}

impl Draw {
    /// Sorts the probes.
    pub fn new(mut probes: Vec<Probe>) -> Self {
        probes.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { probes }
    }

    /// Known and unknown probes under `weights` of brands; none without one of either.
    fn totals(&self, weights: &[u32]) -> Option<(f64, f64)> {
        let mut totals = [0u64; 2];
        for probe in &self.probes {
            totals[usize::from(probe.known)] += u64::from(weights[probe.brand as usize]);
        }
        let [unknown, known] = totals;
        (known > 0 && unknown > 0).then_some((known as f64, unknown as f64))
    }

    /// Calls `visit` with every vertex after (0, 0, 0), ending at FAR and TAR 1. None as in [`Self::totals`].
    fn walk(&self, weights: &[u32], mut visit: impl FnMut(Vertex)) -> Option<()> {
        let (known, unknown) = self.totals(weights)?;
        let (mut accepted, mut named, mut false_accepts) = (0u64, 0u64, 0u64);
        for ties in self.probes.chunk_by(|a, b| a.score == b.score) {
            for probe in ties {
                let weight = u64::from(weights[probe.brand as usize]);
                match probe.known {
                    true => accepted += weight,
                    false => false_accepts += weight,
                }
                named += weight * u64::from(probe.named);
            }
            visit(Vertex {
                far: false_accepts as f64 / unknown,
                tar: accepted as f64 / known,
                dir: named as f64 / known,
            });
        }
        Some(())
    }

    /// [`METRICS`]:
    ///
    /// - AUROC of known against unknown and OSCR (area of correctly named over FAR; Dhamija et al. 2018), by trapezoids;
    /// - EER, where FAR = 1 − TAR, linear between the vertices about it;
    /// - FPR@95TPR, FAR at the first vertex whose TAR reaches 0.95;
    /// - TAR and DIR (detection and identification rate: accepted and rightly named) at the last vertex whose FAR does
    ///   not exceed the rate: nothing is interpolated, so fewer than 1,000 unknown probes allow no false accept at 0.1 %.
    pub fn curve(&self, weights: &[u32]) -> Option<[f64; METRICS.len()]> {
        let mut last = Vertex::default();
        let (mut auroc, mut oscr) = (0.0, 0.0);
        let (mut eer, mut fpr95) = (None, None);
        let mut at = [Vertex::default(); FARS.len()];
        self.walk(weights, |v| {
            let step = v.far - last.far;
            auroc += step * (v.tar + last.tar) / 2.0;
            oscr += step * (v.dir + last.dir) / 2.0;
            if eer.is_none() && v.far >= 1.0 - v.tar {
                // FAR − (1 − TAR) is −1 at the first vertex and rises.
                let (below, above) = (last.far + last.tar - 1.0, v.far + v.tar - 1.0);
                eer = Some(last.far + step * (-below / (above - below)));
            }
            if fpr95.is_none() && v.tar >= 0.95 {
                fpr95 = Some(v.far);
            }
            for ((far, _), at) in FARS.iter().zip(&mut at) {
                if v.far <= *far {
                    *at = v;
                }
            }
            last = v;
        })?;
        let [a, b, c] = at;
        Some([
            auroc, eer?, fpr95?, oscr, a.tar, b.tar, c.tar, a.dir, b.dir, c.dir,
        ])
    }

    /// At each of the thresholds `taus` (accepted from there on): FAR, then DIR, then FAR less the rate of [`FARS`] that
    /// was aimed at.
    pub fn at(&self, taus: &[f64; FARS.len()], weights: &[u32]) -> Option<[f64; 9]> {
        let (known, unknown) = self.totals(weights)?;
        let mut all = [0.0; 9];
        for (i, tau) in taus.iter().enumerate() {
            let accepted = self.probes.partition_point(|probe| probe.score >= *tau);
            let (mut named, mut false_accepts) = (0u64, 0u64);
            for probe in &self.probes[..accepted] {
                let weight = u64::from(weights[probe.brand as usize]);
                named += weight * u64::from(probe.named);
                false_accepts += weight * u64::from(!probe.known);
            }
            all[i] = false_accepts as f64 / unknown;
            all[3 + i] = named as f64 / known;
            all[6 + i] = all[i] - FARS[i].0;
        }
        Some(all)
    }
}

/// The mean of each value over the draws in which it is defined.
pub fn mean<const N: usize>(
    draws: &[Draw],
    of: impl Fn(&Draw) -> Option<[f64; N]>,
) -> [Option<f64>; N] {
    let values: Vec<[f64; N]> = draws.iter().filter_map(of).collect();
    std::array::from_fn(|i| {
        let sum: f64 = values.iter().map(|v| v[i]).sum();
        (!values.is_empty()).then(|| sum / values.len() as f64)
    })
}

/// The unknown probes of all draws together, highest score first: what a threshold for a false-accept rate is read off.
#[derive(Debug, Clone, PartialEq)]
pub struct Strangers {
    probes: Vec<Probe>,
}

impl Strangers {
    /// Those of `draws`.
    pub fn of(draws: &[Draw]) -> Self {
        let unknown = draws.iter().flat_map(|d| &d.probes).filter(|p| !p.known);
        Self {
            probes: Draw::new(unknown.copied().collect()).probes,
        }
    }

    /// For each rate of [`FARS`] the lowest threshold that accepts no larger share of them, each counted as often as
    /// `weights` says of its brand. Probes of one score are accepted together or not at all. None where none counts.
    pub fn thresholds(&self, weights: &[u32]) -> Option<[f64; FARS.len()]> {
        let weight = |probe: &Probe| u64::from(weights[probe.brand as usize]);
        let all: u64 = self.probes.iter().map(weight).sum();
        (all > 0).then(|| FARS.map(|(far, _)| self.threshold(far, all, weight)))
    }

    /// The lowest threshold that accepts no larger share of them than `far`, each counted once, and how many it accepts.
    pub fn threshold_and_accepted(&self, far: f64) -> (f64, u64) {
        let threshold = self.threshold(far, self.len(), |_| 1);
        let accepted = self.probes.partition_point(|p| p.score >= threshold);
        (threshold, accepted as u64)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.probes.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty()
    }

    fn threshold(&self, far: f64, all: u64, weight: impl Fn(&Probe) -> u64) -> f64 {
        let mut accepted = 0;
        // The first that may not be accepted.
        let first = self.probes.iter().find(|probe| {
            accepted += weight(probe);
            accepted as f64 / all as f64 > far
        });
        first.map_or(-1.0, |probe| probe.score.next_up())
    }
}

/// (FAR, mean TAR, mean DIR) over the draws at FAR 0, 0.001, 0.002, 0.005, 0.01, 0.02, … 1: as [`Draw::curve`] takes
/// them, so each curve is a staircase from below.
pub fn curves(draws: &[Draw], brands: usize) -> Vec<(f64, f64, f64)> {
    let grid: Vec<f64> = [0.0, 0.001, 0.002, 0.005]
        .into_iter()
        .chain((1..=100).map(|i| f64::from(i) / 100.0))
        .collect();
    let ones = vec![1; brands];
    let mut sums = vec![(0.0, 0.0); grid.len()];
    let mut counted = 0.0;
    for draw in draws {
        let mut vertices = vec![Vertex::default()];
        if draw.walk(&ones, |v| vertices.push(v)).is_none() {
            continue;
        }
        counted += 1.0;
        for (far, sum) in grid.iter().zip(&mut sums) {
            let at = vertices[vertices.partition_point(|v| v.far <= *far) - 1];
            sum.0 += at.tar;
            sum.1 += at.dir;
        }
    }
    match counted > 0.0 {
        true => grid
            .into_iter()
            .zip(sums)
            .map(|(far, (tar, dir))| (far, tar / counted, dir / counted))
            .collect(),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::bootstrap::Resamples;
    use logodex_schemas::random::stream;
    use rand::Rng;
    use rayon::prelude::*;

    fn probe(score: f64, brand: u32, known: bool, named: bool) -> Probe {
        Probe {
            score,
            brand,
            known,
            named,
        }
    }

    fn value(values: &[f64; 10], metric: &str) -> f64 {
        values[METRICS.iter().position(|m| *m == metric).unwrap()]
    }

    #[test]
    fn a_curve_by_hand() {
        let draw = Draw::new(vec![
            probe(0.9, 0, true, true),
            probe(0.8, 1, true, false),
            probe(0.7, 2, false, false),
            probe(0.6, 0, true, true),
            probe(0.5, 2, false, false),
        ]);
        let v = draw.curve(&[1, 1, 1]).unwrap();
        // Pairs: the first two above both strangers, the third above one.
        assert!((value(&v, "auroc") - 5.0 / 6.0).abs() < 1e-12);
        // (0, ⅔) to (½, ⅔): FAR = ⅓ there.
        assert!((value(&v, "eer") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(value(&v, "fpr_at_95tpr"), 0.5);
        assert_eq!(value(&v, "tar_at_far_10"), 2.0 / 3.0);
        assert_eq!(value(&v, "dir_at_far_10"), 1.0 / 3.0);
        assert!((value(&v, "oscr") - 0.5 * (1.0 + 2.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn weights_are_copies() {
        let mut rng = stream(3, "weights", &[]);
        let probes: Vec<Probe> = (0..200)
            .map(|i| {
                probe(
                    f64::from(rng.random_range(0..40)),
                    i % 8,
                    i % 8 < 4,
                    i % 3 == 0 && i % 8 < 4,
                )
            })
            .collect();
        let weights = [2, 0, 1, 3, 1, 0, 2, 1];
        let copied = probes
            .iter()
            .flat_map(|p| std::iter::repeat_n(*p, weights[p.brand as usize] as usize))
            .collect();
        let (a, b) = (
            Draw::new(probes).curve(&weights).unwrap(),
            Draw::new(copied).curve(&[1; 8]).unwrap(),
        );
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_scores_are_accepted_together_and_are_chance() {
        let draw = Draw::new((0..10).map(|i| probe(0.5, i, i < 5, i < 5)).collect());
        let v = draw.curve(&[1; 10]).unwrap();
        assert_eq!(value(&v, "auroc"), 0.5);
        assert_eq!(value(&v, "eer"), 0.5);
        assert_eq!(value(&v, "tar_at_far_10"), 0.0);
        assert_eq!(
            draw.curve(&[1, 1, 1, 1, 1, 0, 0, 0, 0, 0]),
            None,
            "no stranger"
        );
    }

    #[test]
    fn a_threshold_accepts_no_more_strangers_than_it_was_set_for() {
        let draws: Vec<Draw> = (0..3)
            .map(|d| {
                let mut rng = stream(1, "threshold", &[d]);
                Draw::new(
                    (0..300)
                        .map(|i| probe(f64::from(rng.random_range(0..90)), i % 9, i % 9 < 4, false))
                        .collect(),
                )
            })
            .collect();
        // Brands 0 to 3 are known.
        assert_eq!(
            Strangers::of(&draws).thresholds(&[1, 1, 1, 1, 0, 0, 0, 0, 0]),
            None
        );
        for weights in [[1; 9], [0, 0, 3, 1, 2, 0, 1, 4, 1]] {
            let taus = Strangers::of(&draws).thresholds(&weights).unwrap();
            for ((far, _), tau) in FARS.into_iter().zip(taus) {
                let share = |tau: f64| {
                    let unknown = draws.iter().flat_map(|d| &d.probes).filter(|p| !p.known);
                    let (accepted, all) = unknown.fold((0, 0), |(a, n), p| {
                        let weight = weights[p.brand as usize];
                        (a + weight * u32::from(p.score >= tau), n + weight)
                    });
                    f64::from(accepted) / f64::from(all)
                };
                assert!(share(tau) <= far);
                assert!(share(tau.next_down()) > far, "and could not be lower");
            }
        }
    }

    #[test]
    fn intervals_of_auroc_cover_the_truth_in_93_to_97_studies_of_100() {
        // Known scores N(1, 1 + ½²), unknown N(0, 1 + ½²), a quarter of that variance a brand's own: sums of uniforms,
        // so that the truth is estimated once from many brands.
        let study = |study: u64, brands: u32| -> Draw {
            let mut rng = stream(8, "roc study", &[study]);
            let mut bell = |spread: f64| -> f64 {
                spread * (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>()
            };
            let mut probes = Vec::new();
            for brand in 0..brands {
                let known = brand % 2 == 0;
                let own = bell(0.5) + f64::from(u8::from(known));
                for _ in 0..5 {
                    probes.push(probe(own + bell(1.0), brand, known, known));
                }
            }
            Draw::new(probes)
        };
        let ones = |n: u32| vec![1; n as usize];
        let truth = study(0, 40_000).curve(&ones(40_000)).unwrap()[0];
        let studies = 1000u64;
        let brands = 60;
        let covered = (1..=studies)
            .into_par_iter()
            .filter(|&s| {
                let draw = study(s, brands);
                let resamples = Resamples::draw(s, brands as usize, 400);
                let [auroc] = resamples
                    .estimates(|w| [draw.curve(w).map(|v| v[0])])
                    .map(|e| e.unwrap().interval);
                auroc.low <= truth && truth <= auroc.high
            })
            .count();
        let share = covered as f64 / studies as f64;
        assert!((0.93..=0.97).contains(&share), "{share}");
    }
}
