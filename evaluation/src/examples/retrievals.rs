//! Queries to look at with all that they found: the best, the worst, and some drawn at random.

use logodex_schemas::evaluation::{Choice, ShownRetrieval};
use logodex_schemas::random::stream;
use rand::seq::SliceRandom;

use crate::embeddings::fold_index::FoldIndex;
use crate::examples::picture::{neighbour, row_picture};
use crate::metrics::ranking::{Found, average_precision};
use crate::protocols::retrieval::QuerySet;

/// Queries shown of each [`Choice`].
const QUERIES: usize = 3;
/// Rows shown of what a query found.
const NEAREST: usize = 6;
/// A best query is asked to have so many positives: the fewer there are, the easier it is to find all.
const POSITIVES: usize = 3;

/// Queries of `set`, each with the nearest rows of what it `found`. The same number of each choice, no brand twice in
/// one:
///
/// - best: by average precision, highest first, of queries with at least three positives where three brands have such;
/// - worst: by average precision, lowest first;
/// - random: in an order drawn from the seed, whatever the model.
///
/// Equal average precisions come in the seeded order of the gallery.
pub(crate) fn retrievals(
    seed: u64,
    fold: &FoldIndex,
    set: &QuerySet,
    found: &[Found],
    brand_name: &dyn Fn(usize) -> String,
) -> Vec<ShownRetrieval> {
    let owners = fold.brand_of_position();
    let scores: Vec<f64> = found.iter().map(|f| average_precision(&f.ranks)).collect();
    let first_of_brands = |order: &[usize]| {
        let mut kept: Vec<usize> = Vec::new();
        for &query in order {
            let brand = |query: usize| owners[set.queries[query]];
            if kept.len() < QUERIES && kept.iter().all(|&k| brand(k) != brand(query)) {
                kept.push(query);
            }
        }
        kept
    };

    let mut worst: Vec<usize> = set.in_gallery_order(fold.len());
    let mut best = worst.clone();
    worst.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    best.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let many: Vec<usize> = best
        .iter()
        .copied()
        .filter(|&query| found[query].ranks.len() >= POSITIVES)
        .collect();
    if first_of_brands(&many).len() == QUERIES {
        best = many;
    }
    let mut random: Vec<usize> = (0..set.queries.len()).collect();
    random.shuffle(&mut stream(seed, "shown queries", &[]));

    let mut all = Vec::new();
    for (choice, order) in [
        (Choice::Best, best),
        (Choice::Worst, worst),
        (Choice::Random, random),
    ] {
        all.extend(first_of_brands(&order).into_iter().map(|query| {
            ShownRetrieval {
                choice,
                query: row_picture(fold, brand_name, set.queries[query]),
                positives: found[query].ranks.len() as u32,
                map: scores[query],
                found: found[query]
                    .nearest
                    .iter()
                    .take(NEAREST)
                    .map(|&near| neighbour(fold, brand_name, near))
                    .collect(),
            }
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::fold_index::of_sizes;
    use crate::protocols::retrieval;

    /// Brands of so many rows, each a source image; `found` says the ranks of a row's positives.
    fn chosen(
        seed: u64,
        sizes: &[usize],
        found: &dyn Fn(usize) -> Vec<u32>,
    ) -> Vec<ShownRetrieval> {
        let fold = of_sizes(sizes, 1);
        let set = &retrieval::query_sets(seed, &fold).unwrap()[0];
        let nearest: Vec<(usize, f32)> = (0..10).map(|p| (p, 1.0 - p as f32 * 0.125)).collect();
        let found: Vec<Found> = set
            .queries
            .iter()
            .map(|&position| Found {
                ranks: found(position),
                nearest: nearest.clone(),
            })
            .collect();
        retrievals(seed, &fold, set, &found, &|brand| format!("brand {brand}"))
    }

    fn of(shown: &[ShownRetrieval], choice: Choice) -> Vec<(u64, f64)> {
        let shown = shown.iter().filter(|s| s.choice == choice);
        shown.map(|s| (s.query.row, s.map)).collect()
    }

    #[test]
    fn best_and_worst_are_of_different_brands_and_best_of_those_with_positives_to_miss() {
        // The pair of rows 0 and 1 finds each other at once, which is no feat beside three positives found.
        let ranks = |row: usize| match row {
            0 | 1 => vec![1],
            2 => vec![1, 2, 3],
            3 => vec![1, 2, 4],
            6 => vec![1, 3, 4],
            10 => vec![2, 3, 4],
            15 => vec![12, 13, 14],
            _ => vec![5, 6, 7],
        };
        let shown = chosen(1, &[2, 4, 4, 4, 4], &ranks);
        let best: Vec<u64> = of(&shown, Choice::Best)
            .into_iter()
            .map(|(row, _)| row)
            .collect();
        assert_eq!(best, [2, 6, 10]);
        let worst = of(&shown, Choice::Worst);
        assert_eq!(worst[0].0, 15);
        assert!(worst[1].1 == worst[2].1 && worst[1].1 > worst[0].1);
        assert_eq!(shown.len(), 9);
        let first = &shown[0];
        assert_eq!((first.positives, first.map, first.found.len()), (3, 1.0, 6));
        assert_eq!(first.found[3].picture.row, 3);
        assert_eq!(first.found[3].picture.brand, "brand 1");
        assert_eq!(first.found[3].similarity, 0.625);
        for three in shown.chunks(3) {
            let mut brands: Vec<&str> = three.iter().map(|s| s.query.brand.as_str()).collect();
            brands.sort_unstable();
            brands.dedup();
            assert_eq!(brands.len(), 3);
        }
    }

    #[test]
    fn where_few_brands_have_three_positives_the_best_of_all_are_shown() {
        let shown = chosen(1, &[2, 2, 2, 9], &|row| match row {
            0..6 => vec![1 + row as u32 / 2],
            _ => (90..98).collect(),
        });
        let brands: Vec<u64> = of(&shown, Choice::Best)
            .iter()
            .map(|(row, _)| row / 2)
            .collect();
        assert_eq!(brands, [0, 1, 2]);
    }

    #[test]
    fn equal_queries_are_not_told_apart_by_their_rows_and_random_ones_not_by_the_model() {
        let equal = |_: usize| vec![1, 2, 3, 4, 5];
        let shown: Vec<_> = (0..4).map(|seed| chosen(seed, &[6; 12], &equal)).collect();
        assert!((1..4).any(|i| of(&shown[0], Choice::Best) != of(&shown[i], Choice::Best)));
        assert!((1..4).any(|i| of(&shown[0], Choice::Random) != of(&shown[i], Choice::Random)));
        let other = chosen(0, &[6; 12], &|row| vec![1, 2, 3, 4, 6 + row as u32]);
        let rows = |shown| -> Vec<u64> { of(shown, Choice::Random).iter().map(|r| r.0).collect() };
        assert_eq!(rows(&other), rows(&shown[0]));
    }
}
