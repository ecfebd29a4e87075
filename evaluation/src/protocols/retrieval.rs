//! Retrieval: every picture asks for the others of its brand, among all test pictures.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::RetrievalRow;
use rand::seq::SliceRandom;

use crate::embeddings::fold_index::FoldIndex;
use crate::intervals::bootstrap::ByBrand;
use crate::intervals::tally::{Asked, MIN_BRANDS, Tally};
use crate::metrics::ranking;
use crate::metrics::ranking::{Found, Search, rank};
use crate::protocols::slices::Slice;
use logodex_embeddings::set::EmbeddingSet;
use logodex_embeddings::unit_vectors::UnitVectors;
use logodex_schemas::random::stream;

/// Every row asks all rows of other source images.
pub const RETRIEVAL: &str = "retrieval";
/// Half of the source images of each brand ask, the other half is searched.
pub const QUERY_GALLERY: &str = "retrieval_query_gallery";

/// A metric of the ranks of a query's positives.
type Metric = (&'static str, fn(&[u32]) -> f64);

/// The metrics.
pub const METRICS: [Metric; 6] = [
    ("recall_at_1", |ranks| ranking::recall_at(1, ranks)),
    ("recall_at_5", |ranks| ranking::recall_at(5, ranks)),
    ("recall_at_10", |ranks| ranking::recall_at(10, ranks)),
    ("r_precision", ranking::r_precision),
    ("map_at_r", ranking::average_precision_at_r),
    ("map", ranking::average_precision),
];

/// Who asks, and who is searched: positions of the fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuerySet {
    /// [`RETRIEVAL`] or [`QUERY_GALLERY`].
    pub protocol: &'static str,
    /// Rows that ask: those of brands with at least two source images. A row without a positive would score 0 whatever
    /// the model.
    pub queries: Vec<usize>,
    /// Rows searched, in a seeded order, which decides among equal similarities: the order of rows would set a brand's
    /// rows side by side and let embeddings that are all equal rank them together.
    pub gallery: Vec<usize>,
}

impl QuerySet {
    /// The places in [`Self::queries`], in the order of a gallery that holds them all; `n` rows there are.
    pub fn in_gallery_order(&self, n: usize) -> Vec<usize> {
        let mut place = vec![0; n];
        for (at, &position) in self.gallery.iter().enumerate() {
            place[position] = at;
        }
        let mut order: Vec<usize> = (0..self.queries.len()).collect();
        order.sort_unstable_by_key(|&query| place[self.queries[query]]);
        order
    }
}

/// Brands with one source image, as places in [`FoldIndex::brands`]: they are searched but do not ask.
pub fn lone(fold: &FoldIndex) -> Vec<usize> {
    (0..fold.brands.len())
        .filter(|&b| fold.brands[b].images.len() < 2)
        .collect()
}

/// Both ways to ask. None when every brand has one source image.
pub fn query_sets(seed: u64, fold: &FoldIndex) -> Option<[QuerySet; 2]> {
    let mut gallery: Vec<usize> = (0..fold.len()).collect();
    gallery.shuffle(&mut stream(seed, "gallery", &[]));
    let mut asks_all = Vec::new();
    let mut asks = vec![false; fold.len()];
    for brand in fold.brands.iter().filter(|b| b.images.len() >= 2) {
        asks_all.extend(brand.positions());
        let mut images: Vec<usize> = (0..brand.images.len()).collect();
        images.shuffle(&mut stream(seed, "queries", &[brand.index.into()]));
        for &image in &images[..images.len() / 2] {
            for &position in &brand.images[image] {
                asks[position] = true;
            }
        }
    }
    if asks_all.is_empty() {
        return None;
    }
    let searched = gallery.iter().copied().filter(|&p| !asks[p]).collect();
    Some([
        QuerySet {
            protocol: RETRIEVAL,
            queries: asks_all,
            gallery,
        },
        QuerySet {
            protocol: QUERY_GALLERY,
            queries: (0..fold.len()).filter(|&p| asks[p]).collect(),
            gallery: searched,
        },
    ])
}

/// Ranks for every query of a set, in their order.
pub fn search(fold: &FoldIndex, vectors: &UnitVectors, set: &QuerySet) -> Vec<Found> {
    rank(&Search {
        vectors,
        brands: &fold.brand_of_position(),
        images: &fold.images,
        queries: &set.queries,
        gallery: &set.gallery,
    })
}

/// MAP@R of [`RETRIEVAL`] over all queries, as an evaluation of these embeddings with this seed has it. None where no brand
/// has two source images, or there is one brand only. An embedding of zeros is like none.
pub fn map_at_r(
    embeddings: &EmbeddingSet,
    image_of_row: &dyn Fn(i64) -> i64,
    seed: u64,
) -> Option<f64> {
    let fold = FoldIndex::new(embeddings, image_of_row).ok()?;
    let [set, _] = query_sets(seed, &fold)?;
    let found = search(&fold, &fold.unit_vectors(embeddings), &set);
    let sum: f64 = found
        .iter()
        .map(|found| ranking::average_precision_at_r(&found.ranks))
        .sum();
    Some(sum / found.len() as f64)
}

/// Adds the metrics of a model, over all queries and over those of each slice. Returns what the queries found.
pub fn judge(
    tally: &mut Tally,
    fold: &FoldIndex,
    vectors: &UnitVectors,
    set: &QuerySet,
    slices: &[Slice],
) -> Vec<Found> {
    let found = search(fold, vectors, set);
    let owners = fold.brand_of_position();
    let mut add = |asked: Asked, kept: &[usize]| {
        let brands: Vec<u32> = kept.iter().map(|&i| owners[set.queries[i]]).collect();
        let by_brand = ByBrand::new(&brands);
        if asked.slice != logodex_schemas::evaluation::ALL && by_brand.brands() < MIN_BRANDS {
            return;
        }
        for (name, metric) in METRICS {
            let values: Vec<f64> = kept.iter().map(|&i| metric(&found[i].ranks)).collect();
            tally.mean(asked, name, &by_brand, &values);
        }
    };
    let all: Vec<usize> = (0..set.queries.len()).collect();
    add(Asked::all(set.protocol, 0), &all);
    for slice in slices {
        let is_in = |i: &usize| slice.positions[set.queries[*i]];
        let kept: Vec<usize> = all.iter().copied().filter(is_in).collect();
        let asked = Asked {
            slice: &slice.name,
            ..Asked::all(set.protocol, 0)
        };
        add(asked, &kept);
    }
    found
}

/// The lines of `retrieval.csv`: every row, those that are no query as well.
pub fn lines(
    region: Region,
    fold: &FoldIndex,
    set: &QuerySet,
    found: &[Found],
) -> Vec<RetrievalRow> {
    let mut of_position: Vec<Option<&Found>> = vec![None; fold.len()];
    for (&position, found) in set.queries.iter().zip(found) {
        of_position[position] = Some(found);
    }
    let owners = fold.brand_of_position();
    let nothing = Found {
        ranks: vec![],
        nearest: vec![],
    };
    (0..fold.len())
        .map(|position| {
            let found = of_position[position].unwrap_or(&nothing);
            let texts = |text: &dyn Fn(&(usize, f32)) -> String| {
                found.nearest.iter().map(text).collect::<Vec<_>>().join(" ")
            };
            RetrievalRow {
                region,
                row: fold.rows[position].cast_unsigned(),
                brand: fold.brands[owners[position] as usize].index,
                positives: found.ranks.len() as u32,
                first_rank: found.ranks.first().copied().unwrap_or(0),
                r_precision: ranking::r_precision(&found.ranks),
                map_at_r: ranking::average_precision_at_r(&found.ranks),
                map: ranking::average_precision(&found.ranks),
                nearest_rows: texts(&|(p, _)| fold.rows[*p].to_string()),
                nearest_similarities: texts(&|(_, s)| format!("{s:.4}")),
            }
        })
        .collect()
}

/// `episodes/<region>/<protocol>.csv`: every row in the order of the gallery, and whether it asks, is searched, or both.
pub fn list(region: Region, fold: &FoldIndex, set: &QuerySet) -> (String, Vec<u8>) {
    let mut asks = vec![false; fold.len()];
    for &position in &set.queries {
        asks[position] = true;
    }
    let mut text = String::from("row,role\n");
    let mut searched = vec![false; fold.len()];
    for &position in &set.gallery {
        searched[position] = true;
        let role = if asks[position] { "both" } else { "gallery" };
        text += &format!("{},{role}\n", fold.rows[position]);
    }
    for &position in set.queries.iter().filter(|p| !searched[**p]) {
        text += &format!("{},query\n", fold.rows[position]);
    }
    let name = crate::settings::region_name(region);
    (
        format!("episodes/{name}/{}.csv", set.protocol),
        text.into_bytes(),
    )
}
