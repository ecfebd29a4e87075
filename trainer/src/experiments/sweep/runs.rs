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
    /// Where that file is; none where the grid made it and it is still to be written.
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
mod tests {
    use super::*;
    use std::fs;

    const BASE: &str = "[model]\narch = \"resnet18\"\nhead = \"linear\"\n[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n[schedule]\nepochs = 2\n";

    fn grid(text: &str) -> Result<Vec<SweepRun>, Failure> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("base.toml"), BASE).unwrap();
        fs::write(dir.path().join("grid.toml"), text).unwrap();
        of_grid(&dir.path().join("grid.toml"))
    }

    #[test]
    fn a_grid_is_every_combination_under_a_readable_name() {
        let runs = grid("base = \"base.toml\"\n[grid]\n\"loss.margin\" = [0.2, 0.5]\noptimizer.lr = [1e-3, 0.01]\n").unwrap();
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "margin-0.2_lr-0.001",
                "margin-0.2_lr-0.01",
                "margin-0.5_lr-0.001",
                "margin-0.5_lr-0.01"
            ]
        );
        for run in &runs {
            assert_eq!(config::parse(&run.bytes).unwrap(), run.config);
        }
        assert_eq!(runs[3].config.optimizer.lr, 0.01);
        assert!(
            String::from_utf8_lossy(&runs[0].bytes)
                .starts_with("# One combination of a grid: loss.margin = 0.2, ")
        );
    }

    #[test]
    fn whole_tables_and_tables_that_the_base_has_not_can_be_set() {
        let runs = grid(
            "base = \"base.toml\"\n[grid]\nloss = [{ margin = 1.0, kind = \"triplet\" }, { kind = \"norm_softmax\", temperature = 0.05 }]\n\"augment.flip_p\" = [0.5]\n",
        )
        .unwrap();
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "flip_p-0.5_loss-triplet-1.0",
                "flip_p-0.5_loss-norm_softmax-0.05"
            ]
        );
        assert_eq!(runs[0].config.augment.as_ref().unwrap().flip_p, 0.5);
    }

    #[test]
    fn a_combination_that_cannot_run_is_named_before_anything_does() {
        let refusal = |grid_table: &str| {
            grid(&format!("base = \"base.toml\"\n[grid]\n{grid_table}\n"))
                .unwrap_err()
                .to_string()
        };
        let text = refusal("\"loss.margin\" = [0.2, 1.5]\n\"data.batch\" = [1, 8]");
        assert!(text.contains("3 of its combinations"), "{text}");
        assert!(
            text.contains("data.batch = 1, loss.margin = 0.2: data.batch = 1 must be at least 2"),
            "{text}"
        );
        assert!(
            text.contains("data.batch = 8, loss.margin = 1.5: loss.margin"),
            "{text}"
        );
        let text = refusal("\"loss.margn\" = [0.2]");
        assert!(
            text.contains("unknown key loss.margn; did you mean loss.margin?"),
            "{text}"
        );
        assert!(refusal("\"loss.margin\" = 0.2").contains("must be a list"));
        assert!(refusal("\"loss.margin\" = []").contains("must be a list"));
        assert!(refusal("\"model.arch.x\" = [1]").contains("model.arch.x: arch is no table"));
        assert!(refusal("").contains("[grid] is empty"));
        assert!(refusal("\"loss.margin\" = [0.2, 0.2]").contains("is there twice"));
        assert!(
            grid("bass = \"base.toml\"\n[grid]\n")
                .unwrap_err()
                .to_string()
                .contains("bass")
        );
    }

    #[test]
    fn configurations_are_named_after_their_files_which_must_differ() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, BASE).unwrap();
            path
        };
        let runs = of_configs(&[path("b.toml"), path("a.toml")]).unwrap();
        assert_eq!((runs[0].name.as_str(), runs[1].name.as_str()), ("b", "a"));
        let error = of_configs(&[path("a.toml"), path("x/a.toml")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("a second configuration named a"), "{error}");
    }
}
