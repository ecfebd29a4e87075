//! N-way K-shot: N brands are shown with K pictures each, and a query goes to the nearest prototype. What the paper's
//! text describes and its tables do not hold.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::ALL;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::embeddings::fold_index::FoldIndex;
use crate::embeddings::prototypes::prototypes;
use crate::intervals::bootstrap::ByBrand;
use crate::intervals::tally::{Asked, MIN_BRANDS, Tally};
use crate::protocols::episode::{eligible, supports, take};
use crate::protocols::slices::Slice;
use logodex_embeddings::unit_vectors::UnitVectors;
use logodex_schemas::random::stream;

/// Name of the protocol.
pub const N_WAY_K_SHOT: &str = "n_way_k_shot";
/// Queries of a brand in an episode, at most.
const QUERIES: usize = 5;
/// Brands of an episode (none: all that have enough pictures), and how many episodes are drawn.
const WAYS: [(Option<usize>, u64); 3] = [(Some(5), 400), (Some(20), 100), (None, 20)];
/// Supports per brand.
pub const SHOTS: [u32; 3] = [1, 5, 10];

/// The episodes of one N and K.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NWayEpisodes {
    /// `5`, `20` or `all`.
    pub ways: String,
    /// K.
    pub shots: u32,
    /// The episodes.
    pub episodes: Vec<Vec<Way>>,
}

/// A brand in an episode; positions of the fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Its place in [`FoldIndex::brands`].
    pub brand: usize,
    /// K rows, each of another source image.
    pub supports: Vec<usize>,
    /// Up to five rows of other source images.
    pub queries: Vec<usize>,
}

/// The episodes of every N and K that the brands allow; the rest is said in `notices`. Brands of an episode are a
/// uniform sample of those with at least K + 1 source images.
pub fn draw_all(seed: u64, fold: &FoldIndex, notices: &mut Vec<String>) -> Vec<NWayEpisodes> {
    let mut drawn = Vec::new();
    for shots in SHOTS {
        let brands = eligible(fold, shots);
        for (ways, episodes) in WAYS {
            let n = ways.unwrap_or(brands.len());
            let name = ways.map_or("all".to_owned(), |n| n.to_string());
            if n < 2 || brands.len() < n {
                notices.push(format!(
                    "{name}-way {shots}-shot: left out, as {} test brands have the {} pictures it takes",
                    brands.len(),
                    shots + 1
                ));
                continue;
            }
            let draw = |episode| draw(seed, fold, &brands, (n, shots), episode);
            drawn.push(NWayEpisodes {
                ways: name,
                shots,
                episodes: (0..episodes).into_par_iter().map(draw).collect(),
            });
        }
    }
    drawn
}

fn draw(
    seed: u64,
    fold: &FoldIndex,
    brands: &[usize],
    (ways, shots): (usize, u32),
    episode: u64,
) -> Vec<Way> {
    let mut rng = stream(
        seed,
        "n-way episodes",
        &[ways as u64, shots.into(), episode],
    );
    let mut brands = brands.to_vec();
    // Also the order of the prototypes, which decides among equal distances.
    brands.shuffle(&mut rng);
    brands.truncate(ways);
    brands
        .into_iter()
        .map(|brand| {
            let range = &fold.brands[brand];
            let supports = supports(range, shots, &mut rng);
            let shown = |p: &usize| supports.iter().any(|&s| fold.images[s] == fold.images[*p]);
            let mut rest: Vec<usize> = range.positions().filter(|p| !shown(p)).collect();
            let n = QUERIES.min(rest.len());
            let queries = take(&mut rest, n, &mut rng).to_vec();
            Way {
                brand,
                supports,
                queries,
            }
        })
        .collect()
}

/// Whether each query of an episode, brand after brand, goes to its own brand. The prototype is the mean of the
/// L2-normalised supports, not normalised again; the nearest by Euclidean distance, the first of equals.
pub fn answers(vectors: &UnitVectors, episode: &[Way]) -> Vec<bool> {
    let supports: Vec<&[usize]> = episode.iter().map(|way| &*way.supports).collect();
    let prototypes = prototypes(vectors, &supports);
    let queries: Vec<usize> = episode.iter().flat_map(|s| &s.queries).copied().collect();
    let mut owners = episode
        .iter()
        .enumerate()
        .flat_map(|(place, way)| std::iter::repeat_n(place, way.queries.len()));
    let mut right = Vec::with_capacity(queries.len());
    prototypes.each(vectors, &queries, |query, similarities| {
        let nearest = prototypes.nearest(vectors.get(query), similarities);
        right.push(owners.next() == Some(nearest));
    });
    right
}

/// Adds the accuracies of a model, over all queries and over those of each slice.
pub fn judge(
    tally: &mut Tally,
    fold: &FoldIndex,
    vectors: &UnitVectors,
    sets: &[NWayEpisodes],
    slices: &[Slice],
) {
    for set in sets {
        let right: Vec<Vec<bool>> = set
            .episodes
            .par_iter()
            .map(|episode| answers(vectors, episode))
            .collect();
        let ways = set.episodes.iter().flatten();
        let asked = ways.flat_map(|way| way.queries.iter().map(|&query| (query, way.brand)));
        let answered: Vec<((usize, usize), bool)> =
            asked.zip(right.into_iter().flatten()).collect();
        let metric = format!("accuracy_{}_way", set.ways);
        let mut add = |asked: Asked, is_in: &dyn Fn(usize) -> bool| {
            let kept = answered.iter().filter(|((query, _), _)| is_in(*query));
            let (brands, values): (Vec<u32>, Vec<f64>) = kept
                .map(|&((_, brand), right)| (fold.brands[brand].index, f64::from(u8::from(right))))
                .unzip();
            let by_brand = ByBrand::new(&brands);
            if asked.slice == ALL || by_brand.brands() >= MIN_BRANDS {
                tally.mean(asked, &metric, &by_brand, &values);
            }
        };
        let all = Asked::all(N_WAY_K_SHOT, set.shots);
        add(all, &|_| true);
        for slice in slices {
            let asked = Asked {
                slice: &slice.name,
                ..all
            };
            add(asked, &|query| slice.positions[query]);
        }
    }
}

/// `episodes/<region>/n_way_k_shot_<N>_<K>.csv`: a line per episode and brand.
pub fn list(region: Region, fold: &FoldIndex, set: &NWayEpisodes) -> (String, Vec<u8>) {
    use crate::protocols::episode::rows_text;
    let mut text = String::from("episode,brand,supports,queries\n");
    for (number, episode) in set.episodes.iter().enumerate() {
        for way in episode {
            text += &format!(
                "{number},{},{},{}\n",
                fold.brands[way.brand].index,
                rows_text(fold, way.supports.iter().copied()),
                rows_text(fold, way.queries.iter().copied()),
            );
        }
    }
    let name = crate::settings::region_name(region);
    (
        format!(
            "episodes/{name}/{N_WAY_K_SHOT}_{}_{}.csv",
            set.ways, set.shots
        ),
        text.into_bytes(),
    )
}
