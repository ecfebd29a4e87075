//! Lists the runs that a sweep consists of: a list of configurations, or the combinations of a grid over one of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use logodex_program::Failure;
use logodex_schemas::train::{SweepGrid, TrainConfig};
use toml::{Table, Value};

use crate::config;
use crate::config::keys;

/// A run that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRun {
    /// Name of its directory.
    pub name: String,
    /// What it does.
    pub config: TrainConfig,
    /// The configuration's file, byte for byte.
    pub bytes: Vec<u8>,
    /// Where that file is; none where the sweep made it and it is still to be written.
    pub path: Option<PathBuf>,
}

/// A run per configuration, named after its file.
///
/// # Errors
/// [`Failure::Usage`] for a configuration that is refused, or two files of one name.
pub fn of_configs(paths: &[PathBuf]) -> Result<Vec<SweepRun>, Failure> {
    let mut runs: Vec<SweepRun> = Vec::new();
    for path in paths {
        let (config, bytes) = config::read(path)?;
        let name = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        if runs.iter().any(|run| run.name == name) {
            return Err(Failure::Usage(format!(
                "{}: a second configuration named {name}, which names its run; rename one of the two",
                path.display()
            )));
        }
        runs.push(SweepRun {
            name,
            config,
            bytes,
            path: Some(path.clone()),
        });
    }
    Ok(runs)
}

/// Each run under its own seed, by its own name, and under the next `seeds` − 1 ones, named after them.
///
/// # Errors
/// [`Failure::Usage`] where a seed would be out of range, or two of the runs would be one: the configurations have seeds of
/// their own then.
pub fn with_seeds(runs: Vec<SweepRun>, seeds: u32) -> Result<Vec<SweepRun>, Failure> {
    if seeds == 1 {
        return Ok(runs);
    }
    let mut all: Vec<SweepRun> = Vec::new();
    for run in runs {
        let refused = |why: String| Failure::Usage(format!("{}: --seeds {seeds}: {why}", run.name));
        for i in 0..u64::from(seeds) {
            let next = match i {
                0 => run.clone(),
                _ => under_seed(&run, i).map_err(refused)?,
            };
            let is_it = |other: &&SweepRun| other.name == next.name || other.config == next.config;
            if let Some(other) = all.iter().find(is_it) {
                return Err(refused(format!(
                    "{} and {} would be the same run; leave out --seeds, or the seeds of the configurations",
                    other.name, next.name
                )));
            }
            all.push(next);
        }
    }
    Ok(all)
}

/// The run under the seed that lies `more` further.
fn under_seed(run: &SweepRun, more: u64) -> Result<SweepRun, String> {
    let seed = run.config.seed.checked_add(more);
    let seed = seed.and_then(|seed| i64::try_from(seed).ok());
    let seed = seed.ok_or_else(|| format!("seed {} + {more} is too large", run.config.seed))?;
    let text = String::from_utf8_lossy(&run.bytes);
    let mut table: Table = toml::from_str(&text).map_err(|e| e.to_string())?;
    table.insert("seed".to_owned(), Value::Integer(seed));
    let toml = toml::to_string(&table).map_err(|e| e.to_string())?;
    let text = format!("# {} under another seed.\n\n{toml}", run.name);
    let config = config::parse(text.as_bytes()).map_err(|e| e.to_string())?;
    Ok(SweepRun {
        name: format!("{}_seed-{seed}", run.name),
        config,
        bytes: text.into_bytes(),
        path: None,
    })
}

/// A run per combination of the grid's values, the last key changing fastest. Each is judged here, so that nothing runs
/// where one of them cannot.
///
/// # Errors
/// [`Failure::Usage`] naming the grid and each combination that is refused.
pub fn of_grid(path: &Path) -> Result<Vec<SweepRun>, Failure> {
    let name = path.display();
    let in_grid = |what: String| Failure::Usage(format!("{name}: {what}"));
    let text =
        std::fs::read_to_string(path).map_err(|e| in_grid(format!("cannot read the grid: {e}")))?;
    let grid: SweepGrid =
        toml::from_str(&text).map_err(|e| in_grid(e.to_string().trim_end().to_owned()))?;
    let base = path.parent().unwrap_or(Path::new("")).join(&grid.base);
    let (_, base_bytes) = config::read(&base)?;
    let base: Table = toml::from_str(&String::from_utf8_lossy(&base_bytes))
        .map_err(|e| in_grid(e.to_string()))?;

    let mut axes = Vec::new();
    let table = Table::try_from(&grid.grid).map_err(|e| in_grid(e.to_string()))?;
    flatten("", &table, &mut axes);
    if axes.is_empty() {
        return Err(in_grid("[grid] is empty: give dotted keys with lists of values, as \"loss.margin\" = [0.2, 0.5]".to_owned()));
    }
    let mut combinations: Vec<Vec<(String, Value)>> = vec![Vec::new()];
    for (key, values) in axes {
        let values = match values {
            Value::Array(values) if !values.is_empty() => values,
            _ => {
                return Err(in_grid(format!(
                    "grid.{key} must be a list of values, as [0.2, 0.5]"
                )));
            }
        };
        let with = |so_far: &Vec<(String, Value)>, value: &Value| {
            let mut all = so_far.clone();
            all.push((key.clone(), value.clone()));
            all
        };
        combinations = combinations
            .iter()
            .flat_map(|so_far| {
                values
                    .iter()
                    .map(|value| with(so_far, value))
                    .collect::<Vec<_>>()
            })
            .collect();
    }

    let (mut runs, mut names, mut refused) = (Vec::new(), BTreeSet::new(), Vec::new());
    for combination in combinations {
        match combine(&base, &combination) {
            Ok(run) if !names.insert(run.name.clone()) => {
                refused.push(format!("{} is there twice", run.name))
            }
            Ok(run) => runs.push(run),
            Err(why) => refused.push(format!("{}: {why}", words(&combination))),
        }
    }
    match refused.is_empty() {
        true => Ok(runs),
        false => Err(in_grid(format!(
            "{} of its combinations cannot run, so none does:\n{}",
            refused.len(),
            refused.join("\n")
        ))),
    }
}

/// Bare keys with dots make tables of tables: back to dotted keys.
fn flatten(prefix: &str, table: &Table, into: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = keys::join(prefix, name);
        match value {
            Value::Table(table) => flatten(&key, table, into),
            _ => into.push((key, value.clone())),
        }
    }
}

/// The run of one combination.
fn combine(base: &Table, combination: &[(String, Value)]) -> Result<SweepRun, String> {
    let mut table = base.clone();
    for (key, value) in combination {
        set(&mut table, key, value.clone())?;
    }
    let toml = toml::to_string(&table).map_err(|e| e.to_string())?;
    // No path in it: a sweep that is continued from another directory is the same sweep.
    let text = format!(
        "# One combination of a grid: {}\n\n{toml}",
        words(combination)
    );
    let config = config::parse(text.as_bytes()).map_err(|e| e.to_string())?;
    Ok(SweepRun {
        name: name(combination),
        config,
        bytes: text.into_bytes(),
        path: None,
    })
}

/// Puts a value at a dotted key; tables on the way are made where there are none.
fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let mut place = table;
    let (tables, last) = key.rsplit_once('.').unwrap_or(("", key));
    for part in tables.split('.').filter(|part| !part.is_empty()) {
        let next = place
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        place = match next {
            Value::Table(table) => table,
            _ => return Err(format!("{key}: {part} is no table")),
        };
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

fn words(combination: &[(String, Value)]) -> String {
    let words = combination
        .iter()
        .map(|(key, value)| format!("{key} = {value}"));
    words.collect::<Vec<_>>().join(", ")
}

/// `margin-0.2_lr-0.01`: the last part of each key, or the whole key where two end alike, with its value.
fn name(combination: &[(String, Value)]) -> String {
    let parts = combination.iter().map(|(key, value)| {
        let short = keys::last(key);
        let is_shared = combination
            .iter()
            .filter(|(other, _)| keys::last(other) == short)
            .count()
            > 1;
        format!(
            "{}-{}",
            if is_shared { key } else { short },
            value_word(value)
        )
    });
    parts.collect::<Vec<_>>().join("_")
}

/// A value as a part of a file name.
fn value_word(value: &Value) -> String {
    let join = |words: Vec<String>| words.join("-");
    match value {
        Value::Array(values) => join(values.iter().map(value_word).collect()),
        // Which of several kinds comes first in the name.
        Value::Table(table) => {
            let mut values: Vec<(&String, &Value)> = table.iter().collect();
            values.sort_by_key(|(key, _)| (*key != "kind", *key));
            join(
                values
                    .into_iter()
                    .map(|(_, value)| value_word(value))
                    .collect(),
            )
        }
        Value::String(text) => safe(text),
        other => safe(&other.to_string()),
    }
}

fn safe(text: &str) -> String {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
    text.chars()
        .map(|c| if ordinary(c) { c } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests;
