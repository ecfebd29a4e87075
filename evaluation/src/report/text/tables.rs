//! The tables: for every protocol what each model reached, with its interval, what is best in a row, and what lies below
//! the floor of doing nothing clever. The page, Markdown and LaTeX each set the same tables.

use logodex_schemas::dataset::Region;
use logodex_schemas::evaluation::{ALL, EvaluationRow};
use serde::Serialize;

use crate::floors::FLOORS;
use crate::protocols::paper::PAPER;
use crate::protocols::retrieval::RETRIEVAL;
use crate::report::load::inputs::Inputs;
use crate::report::text::protocols::{Better, protocols};
use crate::settings::region_name;

/// The tables of one region.
#[derive(Debug, Serialize)]
pub struct RegionTables {
    /// `image` or `object`.
    pub name: &'static str,
    /// Every protocol that was asked.
    pub sections: Vec<Section>,
    /// A table per metric of [`OF_SLICES`], a line per category and slice.
    pub slices: Vec<Table>,
}

/// The tables of one protocol on one region.
#[derive(Debug, Serialize)]
pub struct Section {
    /// Protocol, as in `evaluation.csv`.
    pub protocol: &'static str,
    /// What the page calls it.
    pub title: &'static str,
    /// How it asks.
    pub text: &'static str,
    /// A table per number of shots.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Serialize)]
pub struct Table {
    /// A name of letters, digits and hyphens, its own on the page.
    pub id: String,
    /// What it is over.
    pub title: String,
    /// Columns: the models in order, then the floors.
    pub columns: Vec<Column>,
    /// Rows: the metrics or slices.
    pub lines: Vec<Line>,
}

/// A column's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Model or floor.
    pub name: String,
    /// `model`, `baseline` or `floor`.
    pub role: &'static str,
}

/// A row.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Metric or slice, as printed.
    pub label: String,
    /// One per column; none where it was not computed.
    pub cells: Vec<Option<Cell>>,
}

/// A value.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The value.
    pub mean: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Whether no model is better.
    pub best: bool,
    /// The floor that is better, where one is.
    pub below: Option<&'static str>,
}

/// What a row of a table is about.
#[derive(Clone, Copy)]
struct About<'a> {
    protocol: &'a str,
    shots: u32,
    metric: &'a str,
    better: Better,
    region: Region,
    slice: &'a str,
}

/// All tables, region by region, the one that is shown first.
pub fn of_regions(inputs: &Inputs) -> Vec<RegionTables> {
    let columns = columns(inputs);
    let of_region = |region| RegionTables {
        name: region_name(region),
        sections: sections(inputs, &columns, region),
        slices: slices(inputs, &columns, region),
    };
    inputs.regions().into_iter().map(of_region).collect()
}

fn sections(inputs: &Inputs, columns: &[Column], region: Region) -> Vec<Section> {
    let mut sections = Vec::new();
    for (protocol, title, text, metrics) in protocols() {
        let tables: Vec<Table> = shots(inputs, protocol, region)
            .into_iter()
            .map(|shots| {
                let lines = metrics.iter().map(|&(metric, label, better)| {
                    let about = About {
                        protocol,
                        shots,
                        metric,
                        better,
                        region,
                        slice: ALL,
                    };
                    line(inputs, columns, about, label.to_owned())
                });
                Table {
                    id: id(protocol, shots, region),
                    title: match shots {
                        0 => "all queries".to_owned(),
                        shots => format!("{shots}-shot"),
                    },
                    columns: columns.to_vec(),
                    lines: lines.filter(has_values).collect(),
                }
            })
            .collect();
        if !tables.is_empty() {
            sections.push(Section {
                protocol,
                title,
                text,
                tables,
            });
        }
    }
    sections
}

/// What is shown of every slice: protocol, shots, metric, and a title.
const OF_SLICES: [(&str, u32, &str, &str); 3] = [
    (RETRIEVAL, 0, "recall_at_1", "Recall@1 of retrieval"),
    (RETRIEVAL, 0, "map_at_r", "MAP@R of retrieval"),
    (PAPER, 1, "map", "1-shot mAP of the paper's test"),
];

fn slices(inputs: &Inputs, columns: &[Column], region: Region) -> Vec<Table> {
    let mut tables = Vec::new();
    for (protocol, shots, metric, title) in OF_SLICES {
        let mut lines = Vec::new();
        for (slice, brands) in slice_names(inputs, protocol, shots, metric, region) {
            let about = About {
                protocol,
                shots,
                metric,
                better: Better::Higher,
                region,
                slice: &slice,
            };
            let label = format!("{slice} ({brands} brands)");
            lines.push(line(inputs, columns, about, label));
        }
        // Everything alone is in the protocol's own table.
        if lines.len() > 1 {
            tables.push(Table {
                id: format!("slices-{}", id(metric, shots, region)),
                title: title.to_owned(),
                columns: columns.to_vec(),
                lines,
            });
        }
    }
    tables
}

/// Everything, then the slices in the order of the rows, each with its number of brands.
fn slice_names(
    inputs: &Inputs,
    protocol: &str,
    shots: u32,
    metric: &str,
    region: Region,
) -> Vec<(String, u32)> {
    let mut names: Vec<(String, u32)> = Vec::new();
    for row in inputs.models.iter().flat_map(|model| &model.rows) {
        let is_of = row.protocol == protocol && row.shots == shots && row.metric == metric;
        if is_of && row.region == region && !names.iter().any(|(name, _)| *name == row.slice) {
            names.push((row.slice.clone(), row.brands));
        }
    }
    names
}

fn has_values(line: &Line) -> bool {
    line.cells.iter().any(Option::is_some)
}

fn id(protocol: &str, shots: u32, region: Region) -> String {
    let shots = if shots == 0 {
        String::new()
    } else {
        format!("-{shots}-shot")
    };
    format!(
        "{}{shots}-{}",
        protocol.replace('_', "-"),
        region_name(region)
    )
}

/// The numbers of supports of a protocol on a region, ascending.
fn shots(inputs: &Inputs, protocol: &str, region: Region) -> Vec<u32> {
    let rows = inputs.models.iter().flat_map(|model| &model.rows);
    let is_of = |row: &&EvaluationRow| row.protocol == protocol && row.region == region;
    let mut shots: Vec<u32> = rows.filter(is_of).map(|row| row.shots).collect();
    shots.sort_unstable();
    shots.dedup();
    shots
}

fn columns(inputs: &Inputs) -> Vec<Column> {
    let models = inputs.models.iter().map(|model| Column {
        name: model.name.clone(),
        role: match model.is_baseline() {
            true => "baseline",
            false => "model",
        },
    });
    let present = |floor: &&str| inputs.floors.iter().any(|row| row.model == **floor);
    let floors = FLOORS.into_iter().filter(present);
    models
        .chain(floors.map(|name| Column {
            name: name.to_owned(),
            role: "floor",
        }))
        .collect()
}

fn line(inputs: &Inputs, columns: &[Column], about: About, label: String) -> Line {
    let value = |name: &str| {
        let About {
            protocol,
            shots,
            metric,
            region,
            slice,
            ..
        } = about;
        inputs.find(name, protocol, shots, metric, region, slice)
    };
    let of_models = columns.iter().filter(|column| column.role != "floor");
    let means = of_models
        .filter_map(|column| value(&column.name))
        .map(|row| row.mean);
    let best = match about.better {
        Better::Higher => means.fold(f64::NEG_INFINITY, f64::max),
        Better::Lower => means.fold(f64::INFINITY, f64::min),
        Better::Target => f64::NAN,
    };
    let cells = columns.iter().map(|column| {
        let is_floor = column.role == "floor";
        value(&column.name).map(|row| Cell {
            mean: row.mean,
            low: row.ci_low,
            high: row.ci_high,
            best: !is_floor && row.mean == best,
            below: (!is_floor)
                .then(|| better_floor(about.better, row.mean, value))
                .flatten(),
        })
    });
    Line {
        label,
        cells: cells.collect(),
    }
}

/// The floor farthest ahead of a value, where one is ahead.
fn better_floor<'a>(
    better: Better,
    mean: f64,
    value: impl Fn(&str) -> Option<&'a EvaluationRow>,
) -> Option<&'static str> {
    let ahead = |floor: &&'static str| {
        let floor = value(floor)?.mean;
        Some(match better {
            Better::Higher => floor - mean,
            Better::Lower => mean - floor,
            Better::Target => 0.0,
        })
    };
    let floors = FLOORS
        .into_iter()
        .filter_map(|floor| Some((floor, ahead(&floor)?)));
    floors
        .filter(|(_, ahead)| *ahead > 0.0)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(floor, _)| floor)
}

/// The highest floor above a value of the paper's test.
pub fn floor_above(inputs: &Inputs, shots: u32, metric: &str, mean: f64) -> Option<&'static str> {
    better_floor(Better::Higher, mean, |floor| {
        inputs.value(floor, PAPER, shots, metric)
    })
}
