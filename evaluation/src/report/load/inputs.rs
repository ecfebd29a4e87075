//! Everything a report is made of, and how a value of it is found.

use std::collections::BTreeMap;

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{ALL, EvaluationRow};
use logodex_schemas::stats::DatasetStats;

use crate::protocols::paper::{PAPER, PAPER_ORACLE};
use crate::report::load::model::Model;

/// Everything a report is made of.
#[derive(Debug)]
pub struct Inputs {
    /// The models in the order given; at least one.
    pub models: Vec<Model>,
    /// The floors' rows, each once.
    pub floors: Vec<EvaluationRow>,
    /// What `logodex-data stats` said of the dataset.
    pub stats: Option<Stats>,
    /// The pictures that any model's evaluation shows, JPEG, by row of the dataset.
    pub pictures: BTreeMap<u64, Vec<u8>>,
}

/// What `logodex-data stats` wrote.
#[derive(Debug)]
pub struct Stats {
    /// `stats.json`.
    pub stats: DatasetStats,
    /// `samples.svg`.
    pub samples_svg: Vec<u8>,
    /// `long_tail.svg`.
    pub long_tail_svg: Vec<u8>,
}

impl Inputs {
    /// The lines of the gathered `evaluation.csv`: the models in order, then the floors.
    pub fn rows(&self) -> Vec<&EvaluationRow> {
        self.models
            .iter()
            .flat_map(|model| &model.rows)
            .chain(&self.floors)
            .collect()
    }

    /// The numbers of supports of the paper's test, ascending.
    pub fn shots(&self) -> Vec<u32> {
        let of_paper = |row: &&&EvaluationRow| [PAPER, PAPER_ORACLE].contains(&&*row.protocol);
        let rows = self.rows();
        let mut shots: Vec<u32> = rows.iter().filter(of_paper).map(|row| row.shots).collect();
        shots.sort_unstable();
        shots.dedup();
        shots
    }

    /// The region that is shown: the first judged.
    pub fn region(&self) -> Option<Region> {
        self.models.first()?.evaluation.first_region()
    }

    /// A value of a model or floor, over everything of the first region.
    pub fn value(
        &self,
        model: &str,
        protocol: &str,
        shots: u32,
        metric: &str,
    ) -> Option<&EvaluationRow> {
        self.find(model, protocol, shots, metric, self.region()?, ALL)
    }

    /// A value of a model or floor.
    pub fn find(
        &self,
        model: &str,
        protocol: &str,
        shots: u32,
        metric: &str,
        region: Region,
        slice: &str,
    ) -> Option<&EvaluationRow> {
        let own = self.models.iter().find(|m| m.name == model);
        let rows = own.map_or(&self.floors, |m| &m.rows);
        rows.iter().find(|row| {
            row.model == model
                && row.protocol == protocol
                && row.shots == shots
                && row.metric == metric
                && row.region == region
                && row.slice == slice
        })
    }

    /// The regions that were judged, the one that is shown first.
    pub fn regions(&self) -> Vec<Region> {
        let first = self.models.first();
        let regions = first.map(|model| model.evaluation.regions.iter().map(|j| j.region));
        regions.into_iter().flatten().collect()
    }
}
