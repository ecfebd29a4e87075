//! How far the seed of training moves a number, told by runs of one configuration under several seeds. The intervals of
//! an evaluation are over test brands and know nothing of it.

use logodex_schemas::train::TrainConfig;
use serde::Serialize;

/// A number over runs that differ in their seed alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Runs.
    pub seeds: usize,
    /// Mean over them.
    pub mean: f64,
    /// Sample standard deviation (over n − 1).
    pub deviation: f64,
    /// The lowest of them.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of a value per run; none for fewer than two.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self {
            seeds: values.len(),
            mean,
            deviation: (squares / (n - 1.0)).sqrt(),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// The places of configurations that are equal but for their seeds: the first of each seed, two or more together, in
/// order. A model that was not trained has none.
pub fn groups(configs: &[Option<&TrainConfig>]) -> Vec<Vec<usize>> {
    let without_seed = |config: &TrainConfig| TrainConfig {
        seed: 0,
        ..config.clone()
    };
    let mut groups: Vec<(TrainConfig, Vec<(u64, usize)>)> = Vec::new();
    for (place, config) in configs.iter().enumerate() {
        let Some(config) = config else { continue };
        let (key, member) = (without_seed(config), (config.seed, place));
        match groups.iter_mut().find(|(other, _)| *other == key) {
            None => groups.push((key, vec![member])),
            Some((_, members)) if members.iter().all(|(seed, _)| *seed != config.seed) => {
                members.push(member);
            }
            Some(_) => {}
        }
    }
    let places = |(_, members): (_, Vec<(u64, usize)>)| {
        let places: Vec<usize> = members.into_iter().map(|(_, place)| place).collect();
        (places.len() > 1).then_some(places)
    };
    groups.into_iter().filter_map(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_over_n_less_one_and_takes_two_runs() {
        let spread = Spread::of(&[0.5, 0.75, 0.25]).unwrap();
        assert_eq!(
            (spread.seeds, spread.mean, spread.deviation),
            (3, 0.5, 0.25)
        );
        assert_eq!((spread.low, spread.high), (0.25, 0.75));
        assert_eq!(Spread::of(&[0.5]), None);
    }

    #[test]
    fn runs_belong_together_that_differ_in_their_seed_alone() {
        let config = |seed: u64, epochs: u32| -> TrainConfig {
            let text = format!(
                r#"{{"seed": {seed}, "model": {{"arch": "resnet18", "head": "linear"}},
                "loss": {{"kind": "triplet", "margin": 1.0}}, "schedule": {{"epochs": {epochs}}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let configs = [(1, 3), (1, 4), (2, 3), (2, 3), (9, 5), (3, 3), (2, 4)];
        let configs = configs.map(|(seed, epochs)| config(seed, epochs));
        let mut given: Vec<Option<&TrainConfig>> = configs.iter().map(Some).collect();
        given.insert(0, None);
        assert_eq!(groups(&given), [vec![1, 3, 6], vec![2, 7]]);
    }
}
