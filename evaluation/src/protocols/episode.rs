//! Episodes: which pictures are shown as supports and which are asked about.
//!
//! They depend on the seed and on the rows present (brand, row, source image) and on nothing else, least of all on
//! the model: two models judged on the same rows answer the same questions, so that their differences can be paired.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::embeddings::fold_index::{BrandRange, FoldIndex};
use logodex_schemas::random::stream;

/// How episodes are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeSettings {
    /// Seed of the evaluation.
    pub seed: u64,
    /// Name of the random stream, for example `test episodes`.
    pub name: &'static str,
    /// Supports per episode, K ≥ 1.
    pub shots: u32,
    /// Number of episodes.
    pub episodes: u32,
    /// Queries per episode.
    pub queries: u32,
    /// Positives are uniform on 1 to this number.
    pub max_positives: u32,
}

/// One episode, in positions of its [`FoldIndex`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Support brand, as a position in [`FoldIndex::brands`].
    pub brand: usize,
    /// K pictures of the support brand, each from another source image.
    pub supports: Vec<usize>,
    /// What is asked, shuffled, so that a stable sort does not favour positives among equal distances.
    pub queries: Vec<Query>,
}

/// A picture asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Position in the fold.
    pub position: usize,
    /// Whether it shows the support brand.
    pub positive: bool,
}

/// The brands that can support an episode: at least K + 1 distinct source images. Positions in [`FoldIndex::brands`].
pub fn eligible(fold: &FoldIndex, shots: u32) -> Vec<usize> {
    (0..fold.brands.len())
        .filter(|&b| fold.brands[b].images.len() > shots as usize)
        .collect()
}

/// Draws the episodes; none when no brand is [`eligible`].
///
/// Support brands are taken in turn, in a seeded order. K source images of the brand are drawn uniformly, and of each
/// a row uniformly. Queries: g ~ U{1..max_positives} other rows of the brand (at most what remains), the rest
/// uniformly without replacement from the rows of all other brands; fewer than `queries` in all when the set is too
/// small. Rows cut from the same source image as a support are never asked about.
pub fn draw(fold: &FoldIndex, settings: &EpisodeSettings) -> Vec<Episode> {
    let mut order = eligible(fold, settings.shots);
    if order.is_empty() {
        return Vec::new();
    }
    let shots = u64::from(settings.shots);
    order.shuffle(&mut stream(settings.seed, settings.name, &[shots]));
    (0..settings.episodes)
        .into_par_iter()
        .map(|episode| {
            let mut rng = stream(settings.seed, settings.name, &[shots, u64::from(episode)]);
            draw_one(
                fold,
                settings,
                order[episode as usize % order.len()],
                &mut rng,
            )
        })
        .collect()
}

fn draw_one(
    fold: &FoldIndex,
    settings: &EpisodeSettings,
    brand: usize,
    rng: &mut ChaCha8Rng,
) -> Episode {
    let range = &fold.brands[brand];
    let supports = supports(range, settings.shots, rng);
    let shown = |position: &usize| {
        supports
            .iter()
            .any(|&s| fold.images[s] == fold.images[*position])
    };

    let mut others: Vec<usize> = range.positions().filter(|p| !shown(p)).collect();
    let positives = (rng.random_range(1..=settings.max_positives) as usize)
        .min(others.len())
        .min(settings.queries as usize);
    let positives = take(&mut others, positives, rng);
    let mut strangers: Vec<usize> = (0..range.positions().start)
        .chain(range.positions().end..fold.len())
        .filter(|p| !shown(p))
        .collect();
    let negatives = (settings.queries as usize - positives.len()).min(strangers.len());
    let negatives = take(&mut strangers, negatives, rng);

    let mut queries: Vec<Query> = positives
        .iter()
        .map(|&position| Query {
            position,
            positive: true,
        })
        .chain(negatives.iter().map(|&position| Query {
            position,
            positive: false,
        }))
        .collect();
    queries.shuffle(rng);
    Episode {
        brand,
        supports,
        queries,
    }
}

/// K source images of a brand, uniformly, and of each a row, uniformly.
pub fn supports(brand: &BrandRange, shots: u32, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..brand.images.len()).collect();
    take(&mut order, shots as usize, rng)
        .iter()
        .map(|&image| brand.images[image][rng.random_range(0..brand.images[image].len())])
        .collect()
}

/// Rows by their number in the dataset, as the lists of episodes hold them.
pub fn rows_text(fold: &FoldIndex, positions: impl Iterator<Item = usize>) -> String {
    let rows: Vec<String> = positions.map(|p| fold.rows[p].to_string()).collect();
    rows.join(" ")
}

/// A uniform ordered sample of `n` items: the first steps of Fisher and Yates' shuffle.
pub fn take<'a>(items: &'a mut [usize], n: usize, rng: &mut ChaCha8Rng) -> &'a [usize] {
    for i in 0..n {
        items.swap(i, rng.random_range(i..items.len()));
    }
    &items[..n]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::fold_index::of_sizes as fold;
    use std::collections::BTreeSet;

    fn settings(shots: u32, episodes: u32) -> EpisodeSettings {
        EpisodeSettings {
            seed: 3,
            name: "test episodes",
            shots,
            episodes,
            queries: 50,
            max_positives: 5,
        }
    }

    #[test]
    fn an_episode_asks_what_the_protocol_says() {
        let fold = fold(&[12; 20], 1);
        for shots in [1, 5] {
            let episodes = draw(&fold, &settings(shots, 100));
            assert_eq!(episodes.len(), 100);
            for episode in &episodes {
                let range = fold.brands[episode.brand].positions();
                assert_eq!(episode.supports.len(), shots as usize);
                assert!(episode.supports.iter().all(|s| range.contains(s)));
                assert_eq!(episode.queries.len(), 50);
                let distinct: BTreeSet<usize> = episode
                    .supports
                    .iter()
                    .copied()
                    .chain(episode.queries.iter().map(|q| q.position))
                    .collect();
                assert_eq!(
                    distinct.len(),
                    shots as usize + 50,
                    "nothing is shown or asked twice"
                );
                assert!(
                    episode
                        .queries
                        .iter()
                        .all(|q| q.positive == range.contains(&q.position))
                );
                let positives = episode.queries.iter().filter(|q| q.positive).count();
                assert!((1..=5).contains(&positives));
            }
            let first_turn: BTreeSet<usize> = episodes[..20].iter().map(|e| e.brand).collect();
            assert_eq!(first_turn.len(), 20, "brands are taken in turn");
            assert_eq!(episodes[0].brand, episodes[20].brand);
        }
    }

    #[test]
    fn positives_are_uniform_on_one_to_five_and_negatives_on_all_other_rows() {
        let fold = fold(&[12; 20], 1);
        let episodes = draw(&fold, &settings(1, 4000));
        let mut by_count = [0usize; 6];
        let mut asked = vec![0usize; fold.len()];
        for episode in &episodes {
            by_count[episode.queries.iter().filter(|q| q.positive).count()] += 1;
            for query in episode.queries.iter().filter(|q| !q.positive) {
                asked[query.position] += 1;
            }
        }
        // 4,000 / 5 with a standard deviation of 25; 47 of 228 rows in 3,800 episodes: 783 with one of 25.
        assert!(
            by_count[1..].iter().all(|&n| (700..900).contains(&n)),
            "{by_count:?}"
        );
        assert!(asked.iter().all(|&n| (660..910).contains(&n)), "{asked:?}");
        let first = episodes.iter().filter(|e| e.queries[0].positive).count();
        // A positive stands first in 3 of 50 episodes: 240 with a standard deviation of 15.
        assert!(
            (165..315).contains(&first),
            "queries are not shuffled: {first}"
        );
    }

    #[test]
    fn a_picture_that_is_shown_is_never_asked_about() {
        let fold = fold(&[12; 8], 3);
        for episode in draw(&fold, &settings(3, 200)) {
            let shown: BTreeSet<i64> = episode.supports.iter().map(|&s| fold.images[s]).collect();
            assert_eq!(shown.len(), 3, "supports come from different pictures");
            assert!(
                episode
                    .queries
                    .iter()
                    .all(|q| !shown.contains(&fold.images[q.position]))
            );
            assert!(episode.queries.iter().filter(|q| q.positive).count() <= 3);
        }
    }

    #[test]
    fn a_brand_needs_one_picture_more_than_shots() {
        let fold = fold(&[1, 2, 5, 6], 1);
        assert_eq!(eligible(&fold, 1), [1, 2, 3]);
        assert_eq!(eligible(&fold, 5), [3]);
        assert!(draw(&fold, &settings(6, 10)).is_empty());
        for episode in draw(&fold, &settings(5, 10)) {
            assert_eq!(episode.queries.len(), 1 + 8, "a small set asks all it has");
        }
    }

    #[test]
    fn the_seed_the_name_and_the_shots_decide_and_threads_do_not() {
        let fold = fold(&[12; 20], 1);
        let draw_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| draw(&fold, &settings(1, 50)))
        };
        assert_eq!(draw_on(1), draw_on(2));
        assert_ne!(
            draw_on(1),
            draw(
                &fold,
                &EpisodeSettings {
                    seed: 4,
                    ..settings(1, 50)
                }
            )
        );
        assert_ne!(
            draw_on(1),
            draw(
                &fold,
                &EpisodeSettings {
                    name: "val episodes",
                    ..settings(1, 50)
                }
            )
        );
    }
}
