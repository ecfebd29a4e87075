//! Some test brands in three dimensions (the paper's Figure 10). Which rows are shown depends on the seed and the rows
//! alone, so that the maps of several models show the same pictures.

use anyhow::{Result, ensure};
use logodex_schemas::evaluation::{EmbeddingMap, MapPoint};
use rand::seq::SliceRandom;

use crate::embeddings::fold_index::FoldIndex;
use crate::examples::picture::row_picture;
use crate::settings::TsneBrands;
use crate::tsne::layout::{layout, trustworthiness};
use logodex_embeddings::unit_vectors::UnitVectors;
use logodex_schemas::random::stream;

/// Brands drawn: as many as the paper shows.
const DRAWN: usize = 10;
/// Source images that a drawn brand has at least.
const MIN_IMAGES: usize = 5;
/// A map of fewer brands says nothing.
pub const MIN_BRANDS: usize = 3;
/// Of more brands colours cannot be told apart, and the time grows with the square.
pub const MAX_BRANDS: usize = 20;
/// Rows per brand at most.
const ROWS: usize = 30;
/// Rows in all at least: with fewer no point has two neighbours.
const MIN_ROWS: usize = 7;
/// Neighbours that trustworthiness looks at.
const NEIGHBOURS: usize = 10;

/// Why there is no map.
pub(crate) const TOO_FEW: &str = "there is no map of the embeddings: it takes three brands with five pictures each, or, chosen with --map-brands, seven pictures";

/// The rows to show, as positions, brand by brand: of each brand at most 30 source images, drawn from the seed, and one
/// row of each. None where there are too few.
///
/// # Errors
/// A brand has no row; names it.
pub(crate) fn rows(
    seed: u64,
    fold: &FoldIndex,
    shown: &TsneBrands,
    brand_name: &dyn Fn(i64) -> String,
) -> Result<Option<Vec<usize>>> {
    let mut brands: Vec<usize> = match shown {
        TsneBrands::None => return Ok(None),
        TsneBrands::Drawn => {
            let is_enough = |b: &usize| fold.brands[*b].images.len() >= MIN_IMAGES;
            let mut brands: Vec<usize> = (0..fold.brands.len()).filter(is_enough).collect();
            brands.shuffle(&mut stream(seed, "map brands", &[]));
            brands.truncate(DRAWN);
            brands
        }
        TsneBrands::Chosen(chosen) => {
            let mut brands = Vec::new();
            for index in chosen {
                let place = fold.brands.binary_search_by_key(index, |b| b.index);
                ensure!(
                    place.is_ok(),
                    "brand {:?} has no embedding of the first region, so the map cannot show it",
                    brand_name((*index).into())
                );
                brands.extend(place);
            }
            brands
        }
    };
    brands.sort_unstable();
    let mut rows = Vec::new();
    for &brand in &brands {
        let range = &fold.brands[brand];
        let mut rng = stream(seed, "map rows", &[range.index.into()]);
        let mut images: Vec<&Vec<usize>> = range.images.iter().collect();
        images.shuffle(&mut rng);
        let mut own: Vec<usize> = images
            .into_iter()
            .take(ROWS)
            .map(|image| image[0])
            .collect();
        own.sort_unstable();
        rows.extend(own);
    }
    let is_enough = brands.len() >= MIN_BRANDS && rows.len() >= MIN_ROWS;
    Ok(is_enough.then_some(rows))
}

/// The map of the rows at `positions`.
pub(crate) fn map(
    fold: &FoldIndex,
    vectors: &UnitVectors,
    positions: &[usize],
    brand_name: &dyn Fn(usize) -> String,
) -> EmbeddingMap {
    let points: Vec<Vec<f64>> = positions
        .iter()
        .map(|&p| vectors.get(p).iter().map(|&x| f64::from(x)).collect())
        .collect();
    let layout = layout(&points);
    // Trustworthiness is defined for less than half of the points.
    let k = NEIGHBOURS.min((points.len() - 1) / 2);
    EmbeddingMap {
        perplexity: layout.perplexity,
        kl_divergence: layout.kl_divergence,
        trustworthiness: trustworthiness(&points, &layout.at, k),
        points: positions
            .iter()
            .zip(layout.at)
            .map(|(&position, at)| MapPoint {
                picture: row_picture(fold, brand_name, position),
                at,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logodex_embeddings::set::EmbeddingSet;

    /// Brands 0, 2, 4, … of so many source images, two rows of each.
    fn fold(images: &[usize]) -> (FoldIndex, UnitVectors) {
        let owners: Vec<usize> = (0..)
            .zip(images)
            .flat_map(|(b, &n)| vec![b; 2 * n])
            .collect();
        let mut set = EmbeddingSet {
            dim: 4,
            embeddings: vec![],
            brand: owners.iter().map(|&b| 2 * b as i64).collect(),
            row: (0..owners.len() as i64).collect(),
        };
        for (row, b) in owners.into_iter().enumerate() {
            let mut vector = [0.01 * (row % 7) as f32; 4];
            vector[b % 4] = 1.0;
            set.embeddings.extend(vector);
        }
        let fold = FoldIndex::new(&set, &|row| row / 2).unwrap();
        let vectors = fold.unit_vectors(&set);
        (fold, vectors)
    }

    fn brands_of(fold: &FoldIndex, rows: &[usize]) -> Vec<u32> {
        let owners = fold.brand_of_position();
        let mut brands: Vec<u32> = rows.iter().map(|&p| 2 * owners[p]).collect();
        brands.dedup();
        brands
    }

    #[test]
    fn ten_brands_with_enough_pictures_are_drawn_from_the_seed() {
        let images: Vec<usize> = (0..20)
            .map(|b| if b % 4 == 0 { 4 } else { 5 + b * 4 })
            .collect();
        let (fold, _) = fold(&images);
        let draw = |seed| {
            rows(seed, &fold, &TsneBrands::Drawn, &|b| b.to_string())
                .unwrap()
                .unwrap()
        };
        let first = draw(1);
        assert_eq!(first, draw(1));
        assert_ne!(brands_of(&fold, &first), brands_of(&fold, &draw(2)));
        let brands = brands_of(&fold, &first);
        assert_eq!(brands.len(), 10);
        assert!(brands.is_sorted() && brands.iter().all(|b| b % 8 != 0));
        let owners = fold.brand_of_position();
        for brand in brands {
            let own: Vec<usize> = first
                .iter()
                .copied()
                .filter(|&p| owners[p] * 2 == brand)
                .collect();
            assert_eq!(
                own.len(),
                images[brand as usize / 2].min(30),
                "brand {brand}"
            );
            let mut seen: Vec<i64> = own.iter().map(|&p| fold.images[p]).collect();
            seen.dedup();
            assert_eq!(seen.len(), own.len(), "one row of each picture");
        }
    }

    #[test]
    fn chosen_brands_are_shown_and_too_few_are_not() {
        let (fold, vectors) = fold(&[2, 6, 3, 6, 1]);
        let rows = |mapped| rows(1, &fold, &mapped, &|b| format!("brand {b}"));
        assert_eq!(
            rows(TsneBrands::Drawn).unwrap(),
            None,
            "two brands have five pictures"
        );
        assert_eq!(rows(TsneBrands::None).unwrap(), None);
        assert_eq!(
            rows(TsneBrands::Chosen(vec![0, 4, 8])).unwrap(),
            None,
            "six pictures"
        );
        let error = rows(TsneBrands::Chosen(vec![0, 3, 4]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"brand 3\" has no embedding"), "{error}");
        let chosen = rows(TsneBrands::Chosen(vec![6, 2, 4])).unwrap().unwrap();
        assert_eq!(brands_of(&fold, &chosen), [2, 4, 6]);

        let map = map(&fold, &vectors, &chosen, &|b| format!("{b}"));
        assert_eq!((map.points.len(), map.perplexity), (15, 14.0 / 3.0));
        assert_eq!(map.points[6].picture.row, fold.rows[chosen[6]] as u64);
        assert_eq!(map.points[6].picture.brand, "2");
        assert!(map.trustworthiness > 0.8 && map.trustworthiness <= 1.0);
        assert!(
            map.points
                .iter()
                .all(|p| p.at.iter().all(|x| x.is_finite()))
        );
    }
}
