//! All that an evaluation asks, drawn once from the rows; then put to the model and to every floor.

use anyhow::{Result, ensure};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{CurveRow, EvaluationRow, OpenSetThreshold, TooFew};

use crate::embeddings::fold_index::Folds;
use crate::facts::Facts;
use crate::intervals::tally::{Bootstrap, MIN_BRANDS, Tally};
use crate::metrics::ranking::Found;
use crate::protocols::episode::eligible;
use crate::protocols::n_way::{self, NWayEpisodes};
use crate::protocols::open_set::{self, Galleries};
use crate::protocols::paper::{self, Answers, PAPER, PAPER_ORACLE, Round};
use crate::protocols::retrieval::{self, QuerySet};
use crate::protocols::slices::{Slice, slices};
use crate::settings::{Protocol, Settings};
use logodex_embeddings::unit_vectors::UnitVectors;

/// What is asked.
#[derive(Debug)]
pub struct Questions {
    pub(crate) seed: u64,
    pub(crate) region: Region,
    protocols: Vec<Protocol>,
    shots: Vec<u32>,
    pub(crate) paper: Vec<Round>,
    n_way: Vec<NWayEpisodes>,
    retrieval: Vec<QuerySet>,
    pub(crate) open_set: Vec<Galleries>,
    slices: Vec<Slice>,
}

/// What a model answered.
#[derive(Debug)]
pub struct Judged {
    /// Its lines of `evaluation.csv`.
    pub rows: Vec<EvaluationRow>,
    /// Their value in every resample.
    pub replicates: Vec<Vec<f32>>,
    /// Episodes, thresholds and histograms of the paper's test.
    pub answers: Answers,
    /// Thresholds of the open-set protocol.
    pub open_set_thresholds: Vec<OpenSetThreshold>,
    /// What each query of [`Questions::retrieval`] found; nothing without one.
    pub found: Vec<Found>,
    /// Curves.
    pub curves: Vec<CurveRow>,
}

impl Questions {
    /// Draws everything; what cannot be drawn is said in `notices`.
    ///
    /// # Errors
    /// Nothing can be drawn.
    pub fn draw(
        settings: &Settings,
        folds: &Folds,
        facts: &Facts,
        notices: &mut Vec<String>,
    ) -> Result<Self> {
        let asks = |protocol| settings.protocols.contains(&protocol);
        let (test, val) = (&folds.test, folds.val.as_ref());
        let (slices, small) = slices(test, facts);
        if !small.is_empty() {
            notices.push(format!(
                "slices without rows of {MIN_BRANDS} brands, or of all rows, have no numbers: {}",
                small.join(", ")
            ));
        }
        if facts.logo.is_none() {
            notices.push(
                "the dataset has no boxes.csv, so there are no slices by box; build it again with `logodex-data build`"
                    .to_owned(),
            );
        }
        let mut asked = Self {
            seed: settings.seed,
            region: settings.region,
            protocols: settings.protocols.clone(),
            shots: settings.shots.clone(),
            paper: Vec::new(),
            n_way: Vec::new(),
            retrieval: Vec::new(),
            open_set: Vec::new(),
            slices,
        };
        if asks(Protocol::Paper) || asks(Protocol::PaperCosine) {
            asked.draw_paper(settings, folds, notices);
        }
        if asks(Protocol::NWayKShot) {
            asked.n_way = n_way::draw_all(settings.seed, test, notices);
        }
        if asks(Protocol::Retrieval) {
            match retrieval::query_sets(settings.seed, test) {
                Some(sets) => asked.retrieval = sets.into(),
                None => notices
                    .push("retrieval: left out, as no test brand has two source images".to_owned()),
            }
        }
        if asks(Protocol::OpenSet) {
            for &shots in &settings.shots {
                match open_set::draw(settings.seed, shots, test, val) {
                    Some(galleries) => asked.open_set.push(galleries),
                    None => notices.push(format!(
                        "open_set {shots}-shot: left out, as it takes two brands with {} pictures to enrol and two that stay unknown",
                        shots + 1
                    )),
                }
            }
            let without = asked
                .open_set
                .iter()
                .filter(|drawn| drawn.transfer.is_none());
            let without: Vec<String> = without.map(|drawn| drawn.shots.to_string()).collect();
            if !without.is_empty() {
                notices.push(format!(
                    "open_set {}-shot: no threshold is transferred, as there are no validation brands to set one on",
                    without.join("- and ")
                ));
            }
        }
        let drawn =
            asked.paper.len() + asked.n_way.len() + asked.retrieval.len() + asked.open_set.len();
        ensure!(
            drawn > 0,
            "no test brand has enough pictures for an episode: K supports take K + 1 pictures, and K is {:?}",
            settings.shots
        );
        Ok(asked)
    }

    fn draw_paper(&mut self, settings: &Settings, folds: &Folds, notices: &mut Vec<String>) {
        for &shots in &settings.shots {
            let round = paper::draw_round(settings, shots, &folds.test, folds.val.as_ref());
            let Some(round) = round else {
                notices.push(format!(
                    "{shots}-shot: left out, as no test brand has the {} pictures it takes",
                    shots + 1
                ));
                continue;
            };
            if round.val.is_none() {
                notices.push(format!(
                    "{shots}-shot: {}; accuracy, precision, recall and f1 are given under `{PAPER_ORACLE}` only, with a threshold chosen on the test brands",
                    match folds.val {
                        None => "there are no validation embeddings to choose a threshold on".to_owned(),
                        Some(_) => format!("no validation brand has the {} pictures it takes", shots + 1),
                    }
                ));
            }
            self.paper.push(round);
        }
    }

    /// Who asks whom under protocol `retrieval`, where that is asked.
    pub fn retrieval(&self) -> Option<&QuerySet> {
        let mut sets = self.retrieval.iter();
        sets.find(|set| set.protocol == retrieval::RETRIEVAL)
    }

    /// Whether the paper's test is asked by cosine similarity, too.
    pub(crate) fn cosine(&self) -> bool {
        self.protocols.contains(&Protocol::PaperCosine)
    }

    /// Puts everything to one set of vectors.
    pub fn judge(
        &self,
        name: &str,
        bootstrap: &Bootstrap,
        folds: &Folds,
        (vectors, val_vectors): (&UnitVectors, Option<&UnitVectors>),
    ) -> Judged {
        let mut tally = Tally::new(name, self.region, bootstrap);
        let test = (&folds.test, vectors);
        let mut answers = Answers::default();
        if !self.paper.is_empty() {
            let (rounds, slices) = (&self.paper, &self.slices);
            answers = paper::judge(&mut tally, test, val_vectors, rounds, slices, self.cosine());
        }
        n_way::judge(&mut tally, &folds.test, vectors, &self.n_way, &self.slices);
        let mut found = Vec::new();
        for set in &self.retrieval {
            let of_set = retrieval::judge(&mut tally, &folds.test, vectors, set, &self.slices);
            if set.protocol == retrieval::RETRIEVAL {
                found = of_set;
            }
        }
        let mut open_set_thresholds = Vec::new();
        let mut curves = std::mem::take(&mut answers.curves);
        for galleries in &self.open_set {
            let val = folds.val.as_ref().zip(val_vectors);
            let (thresholds, more) = open_set::judge(&mut tally, test, val, galleries);
            open_set_thresholds.extend(thresholds);
            curves.extend(more);
        }
        Judged {
            rows: tally.rows,
            replicates: tally.replicates,
            answers,
            open_set_thresholds,
            found,
            curves,
        }
    }

    /// The brands that could not be asked about.
    pub fn too_few(&self, folds: &Folds, name: &dyn Fn(usize) -> String) -> Vec<TooFew> {
        let fold = &folds.test;
        let too_few = |protocol: &str, shots: u32, brands: Vec<usize>| TooFew {
            region: self.region,
            protocol: protocol.to_owned(),
            shots,
            brands: brands.into_iter().map(name).collect(),
        };
        let not_eligible = |shots: u32| -> Vec<usize> {
            let eligible = eligible(fold, shots);
            (0..fold.brands.len())
                .filter(|b| !eligible.contains(b))
                .collect()
        };
        let mut all = Vec::new();
        for protocol in &self.protocols {
            let (protocol, shots): (&str, &[u32]) = match protocol {
                Protocol::Paper => (PAPER, &self.shots),
                Protocol::PaperCosine => (paper::PAPER_COSINE, &self.shots),
                Protocol::NWayKShot => (n_way::N_WAY_K_SHOT, &n_way::SHOTS),
                Protocol::OpenSet => (open_set::OPEN_SET, &self.shots),
                Protocol::Retrieval => {
                    all.push(too_few(retrieval::RETRIEVAL, 0, retrieval::lone(fold)));
                    continue;
                }
            };
            let each = shots.iter().map(|&k| too_few(protocol, k, not_eligible(k)));
            all.extend(each);
        }
        all
    }

    /// Everything that is asked, as files below the evaluation's directory.
    pub fn lists(&self, folds: &Folds) -> Vec<(String, Vec<u8>)> {
        let (region, test, val) = (self.region, &folds.test, folds.val.as_ref());
        let paper = self.paper.iter().map(|r| paper::list(region, test, val, r));
        let n_way = self.n_way.iter().map(|p| n_way::list(region, test, p));
        let retrieval = self
            .retrieval
            .iter()
            .map(|p| retrieval::list(region, test, p));
        let open_set = self.open_set.iter();
        let open_set = open_set.map(|p| open_set::list(region, test, val, p));
        paper
            .chain(n_way)
            .chain(retrieval)
            .chain(open_set)
            .collect()
    }
}
