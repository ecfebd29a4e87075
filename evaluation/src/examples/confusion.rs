//! Which brands are taken for one another: of protocol `retrieval` what each query found nearest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{Confusion, ConfusionRow};

use crate::embeddings::fold_index::FoldIndex;
use crate::examples::picture::{neighbour, row_picture};
use crate::metrics::ranking::Found;
use crate::protocols::retrieval::QuerySet;

/// Pairs of brands shown.
const PAIRS: usize = 12;

/// Queries of one brand that found the same brand nearest.
#[derive(Debug)]
pub(crate) struct Cell {
    queries: u32,
    /// Of them the most similar to what it found: position, and what it found with its similarity. Among equal ones the
    /// first in the gallery.
    closest: (usize, (usize, f32)),
}

/// The queries counted by brand and nearest brand, both as places in [`FoldIndex::brands`].
pub(crate) type Cells = BTreeMap<(u32, u32), Cell>;

/// Counts what the queries of `set` found.
pub(crate) fn count(fold: &FoldIndex, set: &QuerySet, found: &[Found]) -> Cells {
    let owners = fold.brand_of_position();
    let mut cells = Cells::new();
    for query in set.in_gallery_order(fold.len()) {
        let position = set.queries[query];
        // A query has a positive, so it finds something.
        let Some(&nearest) = found[query].nearest.first() else {
            continue;
        };
        let cell = cells
            .entry((owners[position], owners[nearest.0]))
            .or_insert(Cell {
                queries: 0,
                closest: (position, nearest),
            });
        cell.queries += 1;
        if nearest.1 > cell.closest.1.1 {
            cell.closest = (position, nearest);
        }
    }
    cells
}

/// The lines of `confusion.csv`, by brand and nearest brand.
pub(crate) fn lines(
    region: Region,
    fold: &FoldIndex,
    cells: &Cells,
    brand_name: &dyn Fn(usize) -> String,
) -> Vec<ConfusionRow> {
    let line = |(&(brand, nearest), cell): (&(u32, u32), &Cell)| ConfusionRow {
        region,
        brand: fold.brands[brand as usize].index,
        brand_name: brand_name(brand as usize),
        nearest: fold.brands[nearest as usize].index,
        nearest_name: brand_name(nearest as usize),
        queries: cell.queries,
    };
    cells.iter().map(line).collect()
}

/// The pairs of different brands with most queries; among equals those whose pictures are more similar first, then by
/// index.
pub(crate) fn pairs(
    fold: &FoldIndex,
    cells: &Cells,
    brand_name: &dyn Fn(usize) -> String,
) -> Vec<Confusion> {
    let mut of_brand = vec![0; fold.brands.len()];
    for ((brand, _), cell) in cells {
        of_brand[*brand as usize] += cell.queries;
    }
    let mut apart: Vec<_> = cells.iter().filter(|((a, b), _)| a != b).collect();
    apart.sort_by(|(_, a), (_, b)| {
        let similarity = |cell: &Cell| cell.closest.1.1;
        Reverse(a.queries)
            .cmp(&Reverse(b.queries))
            .then(similarity(b).total_cmp(&similarity(a)))
    });
    apart
        .into_iter()
        .take(PAIRS)
        .map(|((brand, _), cell)| Confusion {
            queries: cell.queries,
            of: of_brand[*brand as usize],
            query: row_picture(fold, brand_name, cell.closest.0),
            found: neighbour(fold, brand_name, cell.closest.1),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::retrieval;
    use logodex_embeddings::set::EmbeddingSet;

    /// Brands 10, 11, … of three rows each; `nearest` gives the row that each row finds nearest, and how similar.
    fn counted(nearest: &[(usize, f32)]) -> (FoldIndex, Cells) {
        let n = nearest.len();
        let set = EmbeddingSet {
            dim: 1,
            embeddings: vec![1.0; n],
            brand: (0..n as i64).map(|row| 10 + row / 3).collect(),
            row: (0..n as i64).collect(),
        };
        let fold = FoldIndex::new(&set, &|row| row).unwrap();
        let set = &retrieval::query_sets(1, &fold).unwrap()[0];
        let found: Vec<Found> = set
            .queries
            .iter()
            .map(|&position| Found {
                ranks: vec![1],
                nearest: vec![nearest[position]],
            })
            .collect();
        let cells = count(&fold, set, &found);
        (fold, cells)
    }

    #[test]
    fn every_query_is_counted_once_and_the_most_similar_pair_is_shown() {
        let (fold, cells) = counted(&[
            (1, 0.9),
            (3, 0.5),
            (4, 0.75),
            (4, 0.9),
            (3, 0.9),
            (8, 0.875),
            (3, 0.25),
            (0, 0.5),
            (1, 0.375),
        ]);
        let name = |brand: usize| ["a", "b", "c"][brand].to_owned();
        let lines = lines(Region::Object, &fold, &cells, &name);
        let short: Vec<_> = lines
            .iter()
            .map(|l| {
                (
                    l.brand,
                    &*l.brand_name,
                    l.nearest,
                    &*l.nearest_name,
                    l.queries,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                (10, "a", 10, "a", 1),
                (10, "a", 11, "b", 2),
                (11, "b", 11, "b", 2),
                (11, "b", 12, "c", 1),
                (12, "c", 10, "a", 2),
                (12, "c", 11, "b", 1),
            ]
        );
        assert!(lines.iter().all(|line| line.region == Region::Object));
        let pairs = pairs(&fold, &cells, &name);
        let short: Vec<_> = pairs
            .iter()
            .map(|p| {
                (
                    p.queries,
                    p.of,
                    p.query.row,
                    p.found.picture.row,
                    p.found.similarity,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                (2, 3, 2, 4, 0.75),
                (2, 3, 7, 0, 0.5),
                (1, 3, 5, 8, 0.875),
                (1, 3, 6, 3, 0.25)
            ]
        );
        assert_eq!(
            (&*pairs[0].query.brand, &*pairs[0].found.picture.brand),
            ("a", "b")
        );
    }

    #[test]
    fn of_many_pairs_the_first_twelve_are_shown_and_equal_ones_by_index() {
        // Of each brand's three rows two find the next brand, one the brand after it.
        let nearest: Vec<(usize, f32)> = (0..30)
            .map(|row| ((row + 3 + row % 3 / 2 * 3) % 30, 0.5))
            .collect();
        let (fold, cells) = counted(&nearest);
        let pairs = pairs(&fold, &cells, &|brand| brand.to_string());
        let short: Vec<_> = pairs.iter().map(|p| (p.queries, &*p.query.brand)).collect();
        assert_eq!(short[..2], [(2, "0"), (2, "1")]);
        assert_eq!(short[9..], [(2, "9"), (1, "0"), (1, "1")]);
    }
}
