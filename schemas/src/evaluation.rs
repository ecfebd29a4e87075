//! What evaluation says of a model: for the report in one file, `evaluation.json`; the lines of the CSV files beside it,
//! for machines in long form, lie in `csv.rs`.

mod csv;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::Region;
use crate::header::Header;
use crate::run::history::TrainedOn;

pub use csv::{
    ALL, ComparisonRow, ConfusionRow, CurveRow, EpisodeRow, EvaluationRow, RetrievalRow,
};

/// The header of `evaluation.json`.
pub fn evaluation_header() -> Header {
    Header::new("logodex-evaluation", 4)
}

/// `evaluation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// Kind and version.
    #[serde(flatten)]
    pub header: Header,
    /// Model: the run's folder name or the embedding file's stem.
    pub model: String,
    /// BLAKE3 of the dataset's manifest, hexadecimal.
    pub manifest_blake3: String,
    /// The split's name.
    pub split: String,
    /// BLAKE3 of the split's CSV, hexadecimal.
    pub split_blake3: String,
    /// Seed of the episodes and the bootstrap.
    pub seed: u64,
    /// Test episodes per number of shots.
    pub episodes: u32,
    /// Embedding size.
    pub embedding_dim: u32,
    /// Test brands, of the first region.
    pub test_brands: u64,
    /// Test rows, of the first region.
    pub test_rows: u64,
    /// What the model was trained on, as far as is known, and which of the brands judged on were among it.
    pub trained_on: TrainedOn,
    /// Regions on which the test embeddings have collapsed: they hardly tell one row from another, so that every number of
    /// every protocol is an accident.
    pub collapsed: Vec<Region>,
    /// What was judged: first the region that the model was trained on, or whole images.
    pub regions: Vec<JudgedRegion>,
    /// Brands with too few images, per protocol and number of shots.
    pub too_few: Vec<TooFew>,
    /// The lines of `evaluation.csv`, floors among them.
    pub rows: Vec<EvaluationRow>,
    /// Thresholds and how F1 runs over them.
    pub thresholds: Vec<Threshold>,
    /// Thresholds of the open-set protocol, from validation brands.
    pub open_set_thresholds: Vec<OpenSetThreshold>,
    /// Cosine similarity of queries to prototypes over the test episodes.
    pub histograms: Vec<SimilarityHistogram>,
    /// A query, a positive and a negative each (the paper's Figure 9), of the first region.
    pub examples: Vec<Example>,
    /// Queries of protocol `retrieval` with what they found, of the first region: best, worst and random ones.
    pub retrievals: Vec<ShownRetrieval>,
    /// The brands most often taken for one another, of the first region, most queries first.
    pub confusions: Vec<Confusion>,
    /// Some brands of the first region in three dimensions (the paper's Figure 10); none when too few brands have
    /// enough pictures.
    pub map: Option<EmbeddingMap>,
}

impl Evaluation {
    /// The region that was judged first, which reports show.
    pub fn first_region(&self) -> Option<Region> {
        self.regions.first().map(|judged| judged.region)
    }

    /// Every picture that it names; a row may come more than once.
    pub fn pictures(&self) -> impl Iterator<Item = &RowPicture> {
        let examples = self
            .examples
            .iter()
            .flat_map(|e| [&e.query, &e.positive, &e.negative]);
        let retrievals = self.retrievals.iter().flat_map(|shown| {
            std::iter::once(&shown.query).chain(shown.found.iter().map(|n| &n.picture))
        });
        let confusions = self
            .confusions
            .iter()
            .flat_map(|c| [&c.query, &c.found.picture]);
        let points = self.map.iter().flat_map(|map| &map.points);
        examples
            .chain(retrievals)
            .chain(confusions)
            .chain(points.map(|point| &point.picture))
    }
}

/// One region of a dataset, judged by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JudgedRegion {
    /// `image` or `object`.
    pub region: Region,
    /// Test brands.
    pub test_brands: u64,
    /// Test rows.
    pub test_rows: u64,
    /// Validation brands.
    pub val_brands: u64,
    /// Validation rows.
    pub val_rows: u64,
}

/// Brands that a protocol could not ask about: they are in no mean, and their pictures are asked about as strangers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TooFew {
    /// What the rows show.
    pub region: Region,
    /// Protocol.
    pub protocol: String,
    /// Supports per brand; 0 where there are none.
    pub shots: u32,
    /// The brands, by name.
    pub brands: Vec<String>,
}

/// On which brands a threshold was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdKind {
    /// On the validation brands.
    Transferred,
    /// On the test brands: a leak, reported because the paper's numbers have it.
    Oracle,
}

/// A threshold on the distance to the prototype: Euclidean under `paper`, 1 − cosine under `paper_cosine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// What the rows show.
    pub region: Region,
    /// `paper` or `paper_cosine`.
    pub protocol: String,
    /// Supports per episode.
    pub shots: u32,
    /// Where it was chosen.
    pub kind: ThresholdKind,
    /// The lowest threshold with the highest pooled F1: under `paper` of 0, 0.01, …, 2, under `paper_cosine` of all,
    /// halfway between the farthest distance accepted and the next.
    pub tau: f64,
    /// Pooled F1 at 0, 0.01, …, 2.
    pub f1: Vec<f64>,
}

/// The lowest similarity to an enrolled brand that is accepted, so that of the unknown probes of validation brands no
/// more than `far` are. It holds for a gallery of `enrolled` brands: over more of them strangers' best similarities are
/// higher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenSetThreshold {
    /// What the rows show.
    pub region: Region,
    /// Supports per brand.
    pub shots: u32,
    /// Brands enrolled in each draw, of validation brands to set it and of test brands to try it.
    pub enrolled: u32,
    /// The false-accept rate aimed at: 0.1, 0.01 or 0.001.
    pub far: f64,
    /// The threshold on the cosine similarity.
    pub similarity: f64,
}

/// Counts in equal bins from −1 to 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimilarityHistogram {
    /// What the rows show.
    pub region: Region,
    /// Supports per episode.
    pub shots: u32,
    /// Queries of the support brand.
    pub positives: Vec<u64>,
    /// Queries of other brands.
    pub negatives: Vec<u64>,
}

/// A query with one picture of its brand and one of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The query.
    pub query: RowPicture,
    /// A picture of the same brand.
    pub positive: RowPicture,
    /// A picture of another brand.
    pub negative: RowPicture,
    /// Cosine similarity of query and positive.
    pub positive_similarity: f64,
    /// Cosine similarity of query and negative.
    pub negative_similarity: f64,
    /// The 1-shot threshold as a cosine similarity: 1 − τ²/2.
    pub threshold_similarity: f64,
}

/// A dataset row as a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowPicture {
    /// Row of the dataset.
    pub row: u64,
    /// Brand.
    pub brand: String,
    /// JPEG of at most 128 × 128 pixels, relative to the evaluation's directory: `pictures/row-<row>.jpg`.
    pub picture: String,
}

/// How a query of [`Evaluation::retrievals`] was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Among those of the highest average precision.
    Best,
    /// Among those of the lowest.
    Worst,
    /// By the seed alone: the same queries for every model.
    Random,
}

/// A query with its nearest rows of other source images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShownRetrieval {
    /// How it was chosen.
    pub choice: Choice,
    /// The query.
    pub query: RowPicture,
    /// Rows of its brand in other source images.
    pub positives: u32,
    /// Average precision over all rows.
    pub map: f64,
    /// The nearest rows, nearest first; a row is right when its brand is the query's.
    pub found: Vec<Neighbour>,
}

/// A row and how near it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Neighbour {
    /// The row.
    pub picture: RowPicture,
    /// Its cosine similarity to the query.
    pub similarity: f64,
}

/// Two brands, the second found nearest by queries of the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confusion {
    /// Queries of the first brand that found the second nearest.
    pub queries: u32,
    /// All queries of the first brand.
    pub of: u32,
    /// Of these queries the one most similar to what it found.
    pub query: RowPicture,
    /// What it found.
    pub found: Neighbour,
}

/// Embeddings in three dimensions by t-SNE (van der Maaten & Hinton 2008) on Euclidean distances of unit vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingMap {
    /// Effective number of neighbours.
    pub perplexity: f64,
    /// The Kullback–Leibler divergence that is left, in nats: what the map could not keep.
    pub kl_divergence: f64,
    /// Share of neighbourhoods kept (Venna & Kaski 2001), 1 when every one of a point's 10 nearest on the map is among
    /// its 10 nearest in the embedding.
    pub trustworthiness: f64,
    /// The points, brand by brand.
    pub points: Vec<MapPoint>,
}

/// A point of the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapPoint {
    /// Its row.
    pub picture: RowPicture,
    /// Where it lies; the map is centred, its unit is arbitrary.
    pub at: [f64; 3],
}
