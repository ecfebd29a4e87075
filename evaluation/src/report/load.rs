//! From directories to what the report needs of them, checked once: nothing later asks whether evaluations belong
//! together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    ALL, ConfusionRow, CurveRow, EpisodeRow, Evaluation, EvaluationRow, Threshold, ThresholdKind,
    evaluation_header,
};
use logodex_schemas::run::MetricsLine;
use logodex_schemas::stats::{DatasetStats, stats_header};
use logodex_schemas::train::TrainConfig;
use serde::de::DeserializeOwned;

use crate::curves::{self, Epoch};
use crate::floors::FLOORS;
use crate::intervals::difference;
use crate::protocols::paper::{PAPER, PAPER_ORACLE};
use crate::report::comparable::{check_comparable, merge_floors};
use crate::report::html::data_uri;
use logodex_program::Failure;

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

/// One evaluated model.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its folder's name.
    pub folder: String,
    /// `evaluation.json`.
    pub evaluation: Evaluation,
    /// Its own lines of `evaluation.csv`, without the floors.
    pub rows: Vec<EvaluationRow>,
    /// `episodes.csv`, of the first region.
    pub episodes: Vec<EpisodeRow>,
    /// `confusion.csv`, of the first region.
    pub confusion: Vec<ConfusionRow>,
    /// The value of each of `rows` in every resample; empty when `bootstrap.safetensors` is missing.
    pub replicates: Vec<Vec<f32>>,
    /// `curves.csv`: its own and those of floors, of the first region.
    pub curves: Vec<CurveRow>,
    /// `config.toml` as it stands, for a run.
    pub config: Option<String>,
    /// The training, for a run of at least one epoch.
    pub training: Option<Training>,
}

/// How a model was trained.
#[derive(Debug)]
pub struct Training {
    /// `config.toml`.
    pub config: TrainConfig,
    /// The epochs of `metrics.jsonl`.
    pub epochs: Vec<Epoch>,
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

    /// The picture of a row as a data URI.
    pub fn picture(&self, row: u64) -> String {
        let jpeg = self.pictures.get(&row).map_or(&[][..], Vec::as_slice);
        data_uri("image/jpeg", jpeg)
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

impl Model {
    /// The threshold of that kind.
    pub fn tau(&self, shots: u32, kind: ThresholdKind) -> Option<f64> {
        self.threshold(shots, kind).map(|t| t.tau)
    }

    /// The threshold of that kind of protocol `paper` on the first region, with its F1 over all thresholds.
    pub fn threshold(&self, shots: u32, kind: ThresholdKind) -> Option<&Threshold> {
        let thresholds = &self.evaluation.thresholds;
        thresholds.iter().find(|t| {
            t.shots == shots && t.kind == kind && t.protocol == PAPER && self.is_shown(t.region)
        })
    }

    /// Whether this is the region that was judged first.
    pub fn is_shown(&self, region: Region) -> bool {
        self.evaluation.first_region() == Some(region)
    }
}

/// Reads the directories.
///
/// # Errors
/// [`Failure::Usage`]; see [`super::report_command`].
pub fn load(runs: &[PathBuf]) -> Result<Inputs> {
    let mut models: Vec<Model> = Vec::new();
    let mut floors: Vec<EvaluationRow> = Vec::new();
    let mut stats: Option<Stats> = None;
    let mut pictures = BTreeMap::new();
    for dir in runs {
        let shown = dir.display();
        if dir.join("evaluation.json").is_file() {
            let (model, its_floors) = read_model(dir)?;
            for shown in model.evaluation.pictures() {
                pictures.insert(shown.row, picture(dir, &shown.picture)?);
            }
            if let Some(other) = models.iter().find(|other| other.name == model.name) {
                return usage(format!(
                    "{shown}: its model is named {:?}, and so is that of {}; a report needs names that differ (evaluate one of them again with --name)",
                    model.name, other.folder
                ));
            }
            if let Some(first) = models.first() {
                check_comparable(first, &model).map_err(|why| {
                    Failure::Usage(format!(
                        "{shown}: cannot be compared with {}: {why}",
                        first.folder
                    ))
                })?;
            }
            merge_floors(&mut floors, its_floors).map_err(|row| {
                Failure::Usage(format!(
                    "{shown}: its floor {} has another {}-shot {} than the other evaluations', so it was judged on other rows or by another version; evaluate all of them again",
                    row.model, row.shots, row.metric
                ))
            })?;
            models.push(model);
        } else if dir.join("stats.json").is_file() {
            if stats.is_some() {
                return usage(format!("{shown}: a second dataset description; give one"));
            }
            stats = Some(read_stats(dir)?);
        } else {
            return usage(format!("{shown}: {}", why_unusable(dir)));
        }
    }
    let Some(first) = models.first() else {
        return usage(
            "nothing to report: give at least one directory that `logodex-train evaluate` wrote"
                .to_owned(),
        );
    };
    if let Some(stats) = &stats
        && stats.stats.manifest_blake3 != first.evaluation.manifest_blake3
    {
        return usage(format!(
            "the dataset description is of another dataset (manifest {}) than the evaluations (manifest {}); run `logodex-data stats` on theirs",
            prefix(&stats.stats.manifest_blake3),
            prefix(&first.evaluation.manifest_blake3)
        ));
    }
    Ok(Inputs {
        models,
        floors,
        stats,
        pictures,
    })
}

/// The first characters of a hash, enough to tell two apart by eye.
pub fn prefix(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn usage<T>(text: String) -> Result<T> {
    Err(Failure::Usage(text).into())
}

/// Why a directory is neither an evaluation nor a dataset description, and what to do.
fn why_unusable(dir: &Path) -> &'static str {
    if !dir.exists() {
        "does not exist"
    } else if !dir.is_dir() {
        "is no directory"
    } else if dir.join("config.toml").is_file() {
        "a run that was not evaluated (no evaluation.json); run `logodex-train evaluate` on it first"
    } else if dir.join("manifest.json").is_file() {
        "a dataset (it has manifest.json); give the folder that `logodex-data stats` wrote for it"
    } else {
        "holds neither evaluation.json (from `logodex-train evaluate`) nor stats.json (from `logodex-data stats`)"
    }
}

fn read_model(dir: &Path) -> Result<(Model, Vec<EvaluationRow>)> {
    let path = dir.join("evaluation.json");
    let evaluation: Evaluation = evaluation_header()
        .parse(&bytes(&path)?)
        .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    let first = evaluation.first_region();
    let is_first = |region: Region| Some(region) == first;
    let is_floor = |name: &str| FLOORS.contains(&name);
    if is_floor(&evaluation.model) {
        return usage(format!(
            "{}: its model has the name of a floor, {:?}; evaluate again with another --name",
            path.display(),
            evaluation.model
        ));
    }
    let (floors, rows): (Vec<EvaluationRow>, Vec<_>) = read_csv(&dir.join("evaluation.csv"))?
        .into_iter()
        .partition(|row: &EvaluationRow| is_floor(&row.model));
    if let Some(row) = rows.iter().find(|row| row.model != evaluation.model) {
        return usage(format!(
            "{}: names the model {:?}, but evaluation.json beside it {:?}; evaluate again",
            dir.join("evaluation.csv").display(),
            row.model,
            evaluation.model
        ));
    }
    let config = dir.join("config.toml");
    let config = match config.is_file() {
        true => Some(String::from_utf8_lossy(&bytes(&config)?).into_owned()),
        false => None,
    };
    let mut curves: Vec<CurveRow> = read_csv(&dir.join("curves.csv"))?;
    curves.retain(|row| is_first(row.region));
    let mut episodes: Vec<EpisodeRow> = read_csv(&dir.join("episodes.csv"))?;
    episodes.retain(|episode| is_first(episode.region));
    let mut confusion: Vec<ConfusionRow> = read_csv(&dir.join("confusion.csv"))?;
    confusion.retain(|row| is_first(row.region));
    let path = dir.join(difference::FILE);
    let replicates = match path.is_file() {
        true => {
            difference::read(&path, rows.len()).map_err(|e| Failure::Usage(format!("{e:#}")))?
        }
        false => Vec::new(),
    };
    let model = Model {
        name: evaluation.model.clone(),
        folder: folder_name(dir),
        rows,
        episodes,
        confusion,
        replicates,
        curves,
        training: match config {
            Some(_) => read_training(dir)?,
            None => None,
        },
        config,
        evaluation,
    };
    Ok((model, floors))
}

/// The last part of a path, so that a report does not depend on where its runs lie.
fn folder_name(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    full.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn read_training(dir: &Path) -> Result<Option<Training>> {
    let path = dir.join("config.toml");
    let text = String::from_utf8_lossy(&bytes(&path)?).into_owned();
    let config: TrainConfig =
        toml::from_str(&text).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    if config.schedule.epochs == 0 {
        return Ok(None);
    }
    let path = dir.join("metrics.jsonl");
    let mut lines: Vec<MetricsLine> = Vec::new();
    for (number, line) in String::from_utf8_lossy(&bytes(&path)?).lines().enumerate() {
        lines.push(serde_json::from_str(line).map_err(|e| {
            Failure::Usage(format!("{}: line {}: {e}", path.display(), number + 1))
        })?);
    }
    let epochs = curves::epochs(&lines);
    match epochs.is_empty() {
        true => usage(format!(
            "{}: holds no completed epoch, but config.toml asks for {}",
            path.display(),
            config.schedule.epochs
        )),
        false => Ok(Some(Training { config, epochs })),
    }
}

fn read_stats(dir: &Path) -> Result<Stats> {
    let path = dir.join("stats.json");
    Ok(Stats {
        stats: stats_header()
            .parse(&bytes(&path)?)
            .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?,
        samples_svg: bytes(&dir.join("samples.svg"))?,
        long_tail_svg: bytes(&dir.join("long_tail.svg"))?,
    })
}

/// A picture that an evaluation shows. It must lie in the evaluation's own directory.
fn picture(dir: &Path, relative: &str) -> Result<Vec<u8>> {
    use std::path::Component;
    let inside = Path::new(relative)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !inside {
        return usage(format!(
            "{}: names a picture outside its directory: {relative:?}",
            dir.join("evaluation.json").display()
        ));
    }
    let path = dir.join(relative);
    let jpeg = bytes(&path)?;
    match jpeg.starts_with(b"\xff\xd8\xff") {
        true => Ok(jpeg),
        false => usage(format!("{}: is no JPEG", path.display())),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        let what = match e.kind() {
            std::io::ErrorKind::NotFound => "is missing; evaluate (or describe) again".to_owned(),
            _ => format!("cannot be read: {e}"),
        };
        anyhow!(Failure::Usage(format!("{}: {what}", path.display())))
    })
}

fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    csv::Reader::from_reader(bytes(path)?.as_slice())
        .deserialize()
        .collect::<Result<Vec<T>, _>>()
        .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())).into())
}
