//! How an evaluation is run: what is asked, how often, and from which seed.

use anyhow::{Result, ensure};
use logodex_schemas::dataset::Region;

use crate::intervals::bootstrap::RESAMPLES;

/// A way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Protocol {
    /// The paper's few-shot test by Euclidean distance.
    Paper,
    /// The same by cosine similarity.
    PaperCosine,
    /// The nearest of N prototypes.
    NWayKShot,
    /// Every picture asks for the others of its brand.
    Retrieval,
    /// Half of the brands enrolled, the rest strangers.
    OpenSet,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Paper,
        Self::PaperCosine,
        Self::NWayKShot,
        Self::Retrieval,
        Self::OpenSet,
    ];
}

/// How the tests are run. The defaults are the paper's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Seed of all that is drawn.
    pub seed: u64,
    /// What to ask.
    pub protocols: Vec<Protocol>,
    /// What the rows show: `image` or `object`.
    pub region: Region,
    /// Test episodes per number of shots, under `paper`.
    pub test_episodes: u32,
    /// Episodes over which a threshold is chosen, under `paper`.
    pub val_episodes: u32,
    /// Queries per episode, under `paper`.
    pub queries: u32,
    /// Positive queries are uniform on 1 to this number, under `paper`.
    pub max_positives: u32,
    /// The numbers of supports K, under `paper` and `open_set`.
    pub shots: Vec<u32>,
    /// Bootstrap resamples.
    pub resamples: u32,
    /// The brands of the t-SNE view.
    pub tsne: TsneBrands,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 42,
            protocols: Protocol::ALL.to_vec(),
            region: Region::Image,
            test_episodes: 1000,
            val_episodes: 500,
            queries: 50,
            max_positives: 5,
            shots: vec![1, 5],
            resamples: RESAMPLES,
            tsne: TsneBrands::Drawn,
        }
    }
}

impl Settings {
    /// Whether every number can be used.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("test episodes", self.test_episodes),
            ("validation episodes", self.val_episodes),
            ("positives", self.max_positives),
            ("resamples", self.resamples),
        ];
        for (what, number) in positive {
            ensure!(number > 0, "the number of {what} must be at least 1");
        }
        ensure!(
            self.queries > self.max_positives,
            "{} queries leave no room for a negative beside {} positives",
            self.queries,
            self.max_positives
        );
        ensure!(
            !self.shots.is_empty() && self.shots.iter().all(|&shots| shots > 0),
            "the numbers of shots must be at least 1, not {:?}",
            self.shots
        );
        ensure!(!self.protocols.is_empty(), "no protocol was asked for");
        Ok(())
    }
}

/// Whom the t-SNE view shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TsneBrands {
    /// There is no view.
    None,
    /// Ten brands drawn among those with at least five source images; all of them where there are fewer.
    Drawn,
    /// These brands, by index.
    Chosen(Vec<u32>),
}

/// `image` or `object`.
pub fn region_name(region: Region) -> &'static str {
    match region {
        Region::Image => "image",
        Region::Object => "object",
        Region::Both => "both",
    }
}
