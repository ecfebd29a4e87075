//! Reads the files of an evaluation and of a dataset description; what is missing or does not fit is named.

use std::path::{Component, Path};

use anyhow::{Result, anyhow};
use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{
    ConfusionRow, CurveRow, EpisodeRow, Evaluation, EvaluationRow, evaluation_header,
};
use logodex_schemas::run::MetricsLine;
use logodex_schemas::stats::stats_header;
use logodex_schemas::train::TrainConfig;
use serde::de::DeserializeOwned;

use crate::floors::FLOORS;
use crate::intervals::difference;
use crate::learning_curves;
use crate::report::load::inputs::Stats;
use crate::report::load::model::{Model, Training};
use logodex_program::Failure;

/// The refusal of what was asked for.
pub fn usage<T>(text: String) -> Result<T> {
    Err(Failure::Usage(text).into())
}

/// An evaluated model, and the rows of the floors in its `evaluation.csv`.
pub fn read_model(dir: &Path) -> Result<(Model, Vec<EvaluationRow>)> {
    let path = dir.join("evaluation.json");
    let evaluation: Evaluation = evaluation_header()
        .parse(&bytes(&path)?)
        .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    let first = evaluation.first_region();
    let is_first = |region: Region| Some(region) == first;
    let is_floor = |name: &str| FLOORS.contains(&name);
    if is_floor(&evaluation.model) {
        return usage(format!(
            "{}: holds floors alone, as `floors` writes them ({:?}); every evaluated model brings its floors along, so leave it out",
            dir.display(),
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
    let epochs = learning_curves::epochs(&lines);
    match epochs.is_empty() {
        true => usage(format!(
            "{}: holds no completed epoch, but config.toml asks for {}",
            path.display(),
            config.schedule.epochs
        )),
        false => Ok(Some(Training { config, epochs })),
    }
}

/// What `logodex-data stats` wrote.
pub fn read_stats(dir: &Path) -> Result<Stats> {
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
pub fn picture(dir: &Path, relative: &str) -> Result<Vec<u8>> {
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
