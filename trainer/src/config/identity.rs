//! Tells whether two configurations are one: by what they say once every default is filled in, not by how it is
//! written.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use logodex_schemas::train::{LrSchedule, TrainConfig};
use toml::de::{DeTable, DeValue};

use super::explain::effective;
use super::keys;

/// The key of a run's length, the only one that may change.
pub const EPOCHS: &str = "schedule.epochs";

/// Every dotted key with its value, defaults filled in.
///
/// # Errors
/// None is expected: a configuration is TOML.
pub fn values(config: &TrainConfig) -> Result<BTreeMap<String, String>> {
    let config = effective(config.clone());
    let table = toml::Table::try_from(&config).context("a configuration is TOML")?;
    let mut values = BTreeMap::new();
    flatten("", &table, &mut values);
    Ok(values)
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = keys::join(prefix, name);
        match value {
            toml::Value::Table(table) => flatten(&key, table, into),
            toml::Value::String(text) => drop(into.insert(key, text.clone())),
            other => drop(into.insert(key, other.to_string())),
        }
    }
}

/// The keys in which two configurations differ, each with what the first and what the second says.
///
/// # Errors
/// As [`values`].
pub fn differences(
    one: &TrainConfig,
    other: &TrainConfig,
) -> Result<BTreeMap<String, [String; 2]>> {
    let (one, other) = (values(one)?, values(other)?);
    let say = |values: &BTreeMap<String, String>, key: &str| {
        values
            .get(key)
            .map_or_else(|| "not set".to_owned(), Clone::clone)
    };
    let keys = one.keys().chain(other.keys());
    let all = keys.map(|key| (key.clone(), [say(&one, key), say(&other, key)]));
    Ok(all.filter(|(_, [one, other])| one != other).collect())
}

/// Whether more epochs would have changed the rates of the epochs before them.
pub fn rates_depend_on_epochs(config: &TrainConfig) -> bool {
    config.schedule.lr == LrSchedule::Cosine
}

/// The text with another `schedule.epochs` and all else, comments too, byte for byte; none where it has no such key.
pub fn with_epochs(text: &str, epochs: u32) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let DeValue::Table(schedule) = document.get_ref().get("schedule")?.get_ref() else {
        return None;
    };
    let span = schedule.get("epochs")?.span();
    Some(format!(
        "{}{epochs}{}",
        &text[..span.start],
        &text[span.end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const TEXT: &str = "# mine\n[model]\narch = \"resnet18\"\nhead = \"linear\"\n[loss]\nkind = \"triplet\"\nmargin = 0.01\n[schedule]\nepochs = 3 # at first\n";

    #[test]
    fn comments_spellings_and_defaults_make_no_other_configuration() {
        let mine = parse(TEXT.as_bytes()).unwrap();
        for same in [
            TEXT.replace("# mine\n", ""),
            TEXT.replace("0.01", "1e-2"),
            TEXT.replace("[loss]", "last_stride = 2\n[loss]"),
            TEXT.replace(
                "[schedule]\nepochs = 3 # at first",
                "[data]\nsampler = \"triplets\"\n[schedule]\nepochs = 3",
            ),
        ] {
            let other = parse(same.as_bytes()).unwrap();
            assert_eq!(
                differences(&mine, &other).unwrap(),
                BTreeMap::new(),
                "{same}"
            );
        }
        assert_eq!(values(&mine).unwrap()["model.embedding_dim"], "128");
        let other = parse(TEXT.replace("0.01", "0.02").as_bytes()).unwrap();
        let found = differences(&mine, &other).unwrap();
        assert_eq!(found["loss.margin"], ["0.01", "0.02"]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn the_epochs_alone_are_written_anew() {
        for text in [
            TEXT,
            "schedule = { freeze = 1, epochs = 3 }\n",
            "schedule.epochs = 3",
        ] {
            let longer = with_epochs(text, 12).unwrap();
            assert_eq!(longer, text.replace("epochs = 3", "epochs = 12"));
        }
        assert_eq!(with_epochs("[schedule]\n", 12), None);
    }
}
