//! All that an evaluation asks, drawn once from the rows; then put to the model and to every floor.

use anyhow::{Result, ensure};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{CurveRow, EvaluationRow, OpenSetThreshold, TooFew};

use crate::judge::episode::eligible;
use crate::judge::paper::{Answers, PAPER, PAPER_ORACLE, Round};
use crate::judge::ranking::Found;
use crate::judge::roster::{Roster, UnitVectors};
use crate::judge::slices::{Slice, slices};
use crate::judge::tally::{Bootstrap, MIN_BRANDS, Tally};
use crate::judge::{Facts, Protocol, Settings, floors, n_way, open_set, paper, retrieval};

/// The rows judged, and those that thresholds are chosen on.
#[derive(Debug)]
pub struct Rosters {
    /// Test rows.
    pub test: Roster,
    /// Validation rows.
    pub val: Option<Roster>,
}

/// What is asked.
#[derive(Debug)]
pub struct Plan {
    seed: u64,
    region: Region,
    protocols: Vec<Protocol>,
    shots: Vec<u32>,
    pub(super) paper: Vec<Round>,
    n_way: Vec<n_way::Plan>,
    retrieval: Vec<retrieval::Plan>,
    open_set: Vec<open_set::Plan>,
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
    /// What each query of [`Plan::retrieval`] found; nothing without one.
    pub found: Vec<Found>,
    /// Curves.
    pub curves: Vec<CurveRow>,
}

impl Plan {
    /// Draws everything; what cannot be drawn is said in `notices`.
    ///
    /// # Errors
    /// Nothing can be drawn.
    pub fn draw(
        settings: &Settings,
        rosters: &Rosters,
        facts: &Facts,
        notices: &mut Vec<String>,
    ) -> Result<Self> {
        let asks = |protocol| settings.protocols.contains(&protocol);
        let (test, val) = (&rosters.test, rosters.val.as_ref());
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
        let mut plan = Self {
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
            plan.draw_paper(settings, rosters, notices);
        }
        if asks(Protocol::NWayKShot) {
            plan.n_way = n_way::plan(settings.seed, test, notices);
        }
        if asks(Protocol::Retrieval) {
            match retrieval::plan(settings.seed, test) {
                Some(plans) => plan.retrieval = plans.into(),
                None => notices
                    .push("retrieval: left out, as no test brand has two source images".to_owned()),
            }
        }
        if asks(Protocol::OpenSet) {
            for &shots in &settings.shots {
                match open_set::plan(settings.seed, shots, test, val) {
                    Some(drawn) => plan.open_set.push(drawn),
                    None => notices.push(format!(
                        "open_set {shots}-shot: left out, as it takes two brands with {} pictures to enrol and two that stay unknown",
                        shots + 1
                    )),
                }
            }
            let without = plan.open_set.iter().filter(|plan| plan.val.is_none());
            let without: Vec<String> = without.map(|plan| plan.shots.to_string()).collect();
            if !without.is_empty() {
                notices.push(format!(
                    "open_set {}-shot: no threshold is transferred, as there are no validation brands to set one on",
                    without.join("- and ")
                ));
            }
        }
        let drawn =
            plan.paper.len() + plan.n_way.len() + plan.retrieval.len() + plan.open_set.len();
        ensure!(
            drawn > 0,
            "no test brand has enough pictures for an episode: K supports take K + 1 pictures, and K is {:?}",
            settings.shots
        );
        Ok(plan)
    }

    fn draw_paper(&mut self, settings: &Settings, rosters: &Rosters, notices: &mut Vec<String>) {
        for &shots in &settings.shots {
            let round = paper::draw_round(settings, shots, &rosters.test, rosters.val.as_ref());
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
                    match rosters.val {
                        None => "there are no validation embeddings to choose a threshold on".to_owned(),
                        Some(_) => format!("no validation brand has the {} pictures it takes", shots + 1),
                    }
                ));
            }
            self.paper.push(round);
        }
    }

    /// Who asks whom under protocol `retrieval`, where that is asked.
    pub fn retrieval(&self) -> Option<&retrieval::Plan> {
        let mut plans = self.retrieval.iter();
        plans.find(|plan| plan.protocol == retrieval::RETRIEVAL)
    }

    /// Puts everything to one set of vectors.
    pub fn judge(
        &self,
        name: &str,
        bootstrap: &Bootstrap,
        rosters: &Rosters,
        (vectors, val_vectors): (&UnitVectors, Option<&UnitVectors>),
    ) -> Judged {
        let mut tally = Tally::new(name, self.region, bootstrap);
        let test = (&rosters.test, vectors);
        let mut answers = Answers::default();
        if !self.paper.is_empty() {
            let cosine = self.protocols.contains(&Protocol::PaperCosine);
            let (rounds, slices) = (&self.paper, &self.slices);
            answers = paper::judge(&mut tally, test, val_vectors, rounds, slices, cosine);
        }
        n_way::judge(&mut tally, &rosters.test, vectors, &self.n_way);
        let mut found = Vec::new();
        for plan in &self.retrieval {
            let of_plan = retrieval::judge(&mut tally, &rosters.test, vectors, plan, &self.slices);
            if plan.protocol == retrieval::RETRIEVAL {
                found = of_plan;
            }
        }
        let mut open_set_thresholds = Vec::new();
        let mut curves = std::mem::take(&mut answers.curves);
        for plan in &self.open_set {
            let val = rosters.val.as_ref().zip(val_vectors);
            let (thresholds, more) = open_set::judge(&mut tally, test, val, plan);
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

    /// The floor of embeddings that know nothing.
    pub fn random_floor(&self, bootstrap: &Bootstrap, rosters: &Rosters) -> Vec<EvaluationRow> {
        let vectors = floors::random_vectors(self.seed, &rosters.test);
        let val = rosters.val.as_ref();
        let val = val.map(|val| floors::random_vectors(self.seed, val));
        self.judge(floors::RANDOM, bootstrap, rosters, (&vectors, val.as_ref()))
            .rows
    }

    /// The floor that accepts nothing.
    pub fn reject_all(&self, bootstrap: &Bootstrap, rosters: &Rosters) -> Vec<EvaluationRow> {
        let mut tally = Tally::new(floors::REJECT_ALL, self.region, bootstrap);
        let cosine = self.protocols.contains(&Protocol::PaperCosine);
        for round in &self.paper {
            floors::reject_all(&mut tally, round, cosine);
        }
        for plan in &self.open_set {
            floors::reject_every_probe(&mut tally, plan, rosters.test.brands.len());
        }
        tally.rows
    }

    /// The brands that could not be asked about.
    pub fn too_few(&self, rosters: &Rosters, name: &dyn Fn(usize) -> String) -> Vec<TooFew> {
        let roster = &rosters.test;
        let too_few = |protocol: &str, shots: u32, brands: Vec<usize>| TooFew {
            region: self.region,
            protocol: protocol.to_owned(),
            shots,
            brands: brands.into_iter().map(name).collect(),
        };
        let not_eligible = |shots: u32| -> Vec<usize> {
            let eligible = eligible(roster, shots);
            (0..roster.brands.len())
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
                    all.push(too_few(retrieval::RETRIEVAL, 0, retrieval::lone(roster)));
                    continue;
                }
            };
            let each = shots.iter().map(|&k| too_few(protocol, k, not_eligible(k)));
            all.extend(each);
        }
        all
    }

    /// Everything that is asked, as files below the evaluation's directory.
    pub fn lists(&self, rosters: &Rosters) -> Vec<(String, Vec<u8>)> {
        let (region, test, val) = (self.region, &rosters.test, rosters.val.as_ref());
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
