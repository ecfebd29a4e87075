//! Retrieval: every picture asks for the others of its brand, among all test pictures.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::RetrievalRow;
use rand::seq::SliceRandom;

use crate::judge::bootstrap::ByBrand;
use crate::judge::ranking::{self, Found, Search, rank};
use crate::judge::roster::{Roster, UnitVectors};
use crate::judge::slices::Slice;
use crate::judge::tally::{Asked, MIN_BRANDS, Tally};
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

/// Who asks, and who is searched: positions of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// [`RETRIEVAL`] or [`QUERY_GALLERY`].
    pub protocol: &'static str,
    /// Rows that ask: those of brands with at least two source images. A row without a positive would score 0 whatever
    /// the model.
    pub queries: Vec<usize>,
    /// Rows searched, in a seeded order, which decides among equal similarities: the order of rows would set a brand's
    /// rows side by side and let embeddings that are all equal rank them together.
    pub gallery: Vec<usize>,
}

impl Plan {
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

/// Brands with one source image, as places in [`Roster::brands`]: they are searched but do not ask.
pub fn lone(roster: &Roster) -> Vec<usize> {
    (0..roster.brands.len())
        .filter(|&b| roster.brands[b].images.len() < 2)
        .collect()
}

/// Both ways to ask. None when every brand has one source image.
pub fn plan(seed: u64, roster: &Roster) -> Option<[Plan; 2]> {
    let mut gallery: Vec<usize> = (0..roster.len()).collect();
    gallery.shuffle(&mut stream(seed, "gallery", &[]));
    let mut asks_all = Vec::new();
    let mut asks = vec![false; roster.len()];
    for brand in roster.brands.iter().filter(|b| b.images.len() >= 2) {
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
        Plan {
            protocol: RETRIEVAL,
            queries: asks_all,
            gallery,
        },
        Plan {
            protocol: QUERY_GALLERY,
            queries: (0..roster.len()).filter(|&p| asks[p]).collect(),
            gallery: searched,
        },
    ])
}

/// Ranks for every query of a plan, in their order.
pub fn search(roster: &Roster, vectors: &UnitVectors, plan: &Plan) -> Vec<Found> {
    rank(&Search {
        vectors,
        brands: &roster.brand_of_position(),
        images: &roster.images,
        queries: &plan.queries,
        gallery: &plan.gallery,
    })
}

/// Adds the metrics of a model, over all queries and over those of each slice. Returns what the queries found.
pub fn judge(
    tally: &mut Tally,
    roster: &Roster,
    vectors: &UnitVectors,
    plan: &Plan,
    slices: &[Slice],
) -> Vec<Found> {
    let found = search(roster, vectors, plan);
    let owners = roster.brand_of_position();
    let mut add = |asked: Asked, kept: &[usize]| {
        let brands: Vec<u32> = kept.iter().map(|&i| owners[plan.queries[i]]).collect();
        let by_brand = ByBrand::new(&brands);
        if asked.slice != logodex_schemas::evaluation::ALL && by_brand.brands() < MIN_BRANDS {
            return;
        }
        for (name, metric) in METRICS {
            let values: Vec<f64> = kept.iter().map(|&i| metric(&found[i].ranks)).collect();
            tally.mean(asked, name, &by_brand, &values);
        }
    };
    let all: Vec<usize> = (0..plan.queries.len()).collect();
    add(Asked::all(plan.protocol, 0), &all);
    for slice in slices {
        let is_in = |i: &usize| slice.positions[plan.queries[*i]];
        let kept: Vec<usize> = all.iter().copied().filter(is_in).collect();
        let asked = Asked {
            slice: &slice.name,
            ..Asked::all(plan.protocol, 0)
        };
        add(asked, &kept);
    }
    found
}

/// The lines of `retrieval.csv`: every row, those that are no query as well.
pub fn lines(region: Region, roster: &Roster, plan: &Plan, found: &[Found]) -> Vec<RetrievalRow> {
    let mut of_position: Vec<Option<&Found>> = vec![None; roster.len()];
    for (&position, found) in plan.queries.iter().zip(found) {
        of_position[position] = Some(found);
    }
    let owners = roster.brand_of_position();
    let nothing = Found {
        ranks: vec![],
        nearest: vec![],
    };
    (0..roster.len())
        .map(|position| {
            let found = of_position[position].unwrap_or(&nothing);
            let texts = |text: &dyn Fn(&(usize, f32)) -> String| {
                found.nearest.iter().map(text).collect::<Vec<_>>().join(" ")
            };
            RetrievalRow {
                region,
                row: roster.rows[position].cast_unsigned(),
                brand: roster.brands[owners[position] as usize].index,
                positives: found.ranks.len() as u32,
                first_rank: found.ranks.first().copied().unwrap_or(0),
                r_precision: ranking::r_precision(&found.ranks),
                map_at_r: ranking::average_precision_at_r(&found.ranks),
                map: ranking::average_precision(&found.ranks),
                nearest_rows: texts(&|(p, _)| roster.rows[*p].to_string()),
                nearest_similarities: texts(&|(_, s)| format!("{s:.4}")),
            }
        })
        .collect()
}

/// `episodes/<region>/<protocol>.csv`: every row in the order of the gallery, and whether it asks, is searched, or both.
pub fn list(region: Region, roster: &Roster, plan: &Plan) -> (String, Vec<u8>) {
    let mut asks = vec![false; roster.len()];
    for &position in &plan.queries {
        asks[position] = true;
    }
    let mut text = String::from("row,role\n");
    let mut searched = vec![false; roster.len()];
    for &position in &plan.gallery {
        searched[position] = true;
        let role = if asks[position] { "both" } else { "gallery" };
        text += &format!("{},{role}\n", roster.rows[position]);
    }
    for &position in plan.queries.iter().filter(|p| !searched[**p]) {
        text += &format!("{},query\n", roster.rows[position]);
    }
    let name = crate::judge::region_name(region);
    (
        format!("episodes/{name}/{}.csv", plan.protocol),
        text.into_bytes(),
    )
}
