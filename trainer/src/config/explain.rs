//! `logodex-train config`: explains what can be configured, and what a configuration comes to.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use logodex_program::Failure;
use logodex_schemas::train::TrainConfig;

use super::keys::{Default, Key, Table, Text, last, nearest, tables};
use super::read::read;
use super::warnings::warnings;

/// Columns of what is printed.
const WIDTH: usize = 100;

/// Every table and key, or those that `asked` names by path (`loss.margin`, `loss`) or by last part (`margin`): what
/// each means, holds, is by default and comes from.
///
/// # Errors
/// [`Failure::Usage`] when nothing has that name, with the names that look like it.
pub fn explain(asked: Option<&str>) -> Result<String, Failure> {
    let tables = tables();
    let Some(asked) = asked else {
        return Ok(tables.iter().map(|table| block(table, &|_| true)).collect());
    };
    let asked = asked.trim_matches(['[', ']']);
    // A path is meant as such; only a name that is none is looked for everywhere.
    let is_path = |path: &str| path == asked || path.starts_with(&format!("{asked}."));
    let is_name = |path: &str| last(path) == asked;
    let paths = || {
        let of = |t: &Table| {
            t.all_keys()
                .map(|(_, key)| key.path.clone())
                .collect::<Vec<_>>()
        };
        tables.iter().flat_map(of)
    };
    let wanted: &dyn Fn(&str) -> bool = match paths().any(|path| is_path(&path)) {
        true => &is_path,
        false => &is_name,
    };
    let text: String = tables
        .iter()
        .filter(|table| table.all_keys().any(|(_, key)| wanted(&key.path)))
        .map(|table| block(table, wanted))
        .collect();
    match text.is_empty() {
        false => Ok(text),
        true => Err(Failure::Usage(format!(
            "no key is named {asked:?}; {}",
            match nearest(&tables, asked).as_slice() {
                [] => "`logodex-train config --explain` lists all keys".to_owned(),
                near => format!("did you mean {}?", near.join(" or ")),
            }
        ))),
    }
}

/// A table's keys that are `wanted`.
fn block(table: &Table, wanted: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::new();
    if !table.path.is_empty() {
        let presence = match &table.default {
            Default::Required => "  (required)",
            Default::Unset => "  (optional: none without it)",
            Default::Value(_) => "",
        };
        let _ = writeln!(out, "[{}]{presence}", table.path);
        paragraph(&mut out, "    ", "", &table.text.meaning);
        out.push('\n');
    }
    table
        .keys
        .iter()
        .filter(|key| wanted(&key.path))
        .for_each(|key| describe(&mut out, key));
    for variant in &table.variants {
        let keys: Vec<&Key> = variant
            .keys
            .iter()
            .filter(|key| wanted(&key.path))
            .collect();
        if !keys.is_empty() {
            let _ = writeln!(out, "[{}] with kind = {:?}\n", table.path, variant.kind);
            keys.into_iter().for_each(|key| describe(&mut out, key));
        }
    }
    out
}

fn describe(out: &mut String, key: &Key) {
    let _ = match &key.default {
        Default::Required => writeln!(out, "{}  (required)", key.path),
        Default::Unset => writeln!(out, "{}  (not set)", key.path),
        Default::Value(value) => writeln!(out, "{} = {value}", key.path),
    };
    let Text {
        meaning,
        unit,
        source,
    } = &key.text;
    paragraph(out, "    ", "", meaning);
    let longest = key
        .choices
        .iter()
        .map(|(word, _)| word.len())
        .max()
        .unwrap_or(0);
    for (word, meaning) in &key.choices {
        paragraph(out, "      ", &format!("{word:<longest$}  "), meaning);
    }
    let unit = unit
        .as_ref()
        .map_or(String::new(), |unit| format!("; unit: {unit}"));
    paragraph(out, "    ", "Type: ", &format!("{}{unit}.", key.holds));
    paragraph(
        out,
        "    ",
        "Source: ",
        &format!("{}.", source.as_deref().unwrap_or("not said")),
    );
    out.push('\n');
}

/// Words in lines of at most [`WIDTH`] columns: the first after `head`, the others below its end.
fn paragraph(out: &mut String, indent: &str, head: &str, words: &str) {
    let (mut line, mut prefix) = (String::new(), format!("{indent}{head}"));
    let room = WIDTH - prefix.chars().count();
    for word in words.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            let _ = writeln!(out, "{prefix}{line}");
            prefix = " ".repeat(WIDTH - room);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{prefix}{line}");
}

/// Judges the configuration in `path` and returns it as TOML with every default and what follows from the rest (the
/// sampler, the embedding size) filled in; what stays unset is a comment.
///
/// # Errors
/// [`Failure::Usage`], as for a run.
pub fn check(path: &Path) -> Result<String> {
    let (config, _) = read(path)?;
    for warning in warnings(&config) {
        tracing::warn!("{}: {warning}", path.display());
    }
    let config = effective(config);
    let text = toml::to_string(&config).context("a configuration is TOML")?;
    let value: toml::Table = toml::from_str(&text).context("its own TOML")?;
    let mut unset: Vec<String> = Vec::new();
    for table in tables() {
        let Some(given) = find(&value, &table.path) else {
            if table.default == Default::Unset {
                unset.push(format!("[{}]", table.path));
            }
            continue;
        };
        let keys = table
            .keys
            .iter()
            .filter(|key| !given.contains_key(key.name()));
        unset.extend(keys.map(|key| key.path.clone()));
    }
    let unset = match unset.is_empty() {
        true => String::new(),
        false => format!("# not set: {}\n", unset.join(", ")),
    };
    Ok(format!(
        "# {}: valid; with every default it is\n{unset}\n{text}",
        path.display()
    ))
}

/// A configuration with what follows from the rest filled in.
pub fn effective(mut config: TrainConfig) -> TrainConfig {
    config.data.sampler = Some(config.sampler());
    config.model.embedding_dim = config
        .model
        .embedding_dim
        .or(config.model.head.embedding_dim());
    config
}

fn find<'v>(root: &'v toml::Table, path: &str) -> Option<&'v toml::Table> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(root, |table, part| table.get(part)?.as_table())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn explained(asked: &str) -> String {
        explain(Some(asked)).unwrap()
    }

    #[test]
    fn every_key_of_the_schema_is_explained_with_its_default() {
        let all = explain(None).unwrap();
        for table in tables() {
            for (_, key) in table.all_keys() {
                let line = match &key.default {
                    Default::Required => format!("\n{}  (required)\n", key.path),
                    Default::Unset => format!("\n{}  (not set)\n", key.path),
                    Default::Value(value) => format!("\n{} = {value}\n", key.path),
                };
                assert!(format!("\n{all}").contains(&line), "{line}");
            }
            for variant in &table.variants {
                assert!(all.contains(&variant.kind));
            }
        }
        assert!(
            all.lines().all(|line| line.chars().count() <= WIDTH),
            "{all}"
        );
        let epochs = all.find("\nschedule.epochs").unwrap();
        assert!(
            all[epochs..].contains("Type: a whole number; unit: epochs.\n    Source: the paper")
        );
    }

    #[test]
    fn one_key_is_explained_by_path_by_name_or_by_table() {
        let text = explained("optimizer.lr");
        assert!(
            text.contains("optimizer.lr = 0.001") && !text.contains("schedule.lr"),
            "{text}"
        );
        assert!(text.contains("Table 3 (1e-1)"), "{text}");
        let text = explained("lr");
        assert!(
            text.contains("optimizer.lr = 0.001") && text.contains("schedule.lr = \"constant\""),
            "{text}"
        );
        let text = explained("loss.margin");
        assert_eq!(
            text.matches("loss.margin  (required)").count(),
            5,
            "one per loss that has it: {text}"
        );
        assert!(!text.contains("loss.temperature") && !text.contains("miner.margin"));
        let text = explained("[schedule]");
        assert!(
            text.contains("schedule.epochs") && text.contains("schedule.unfreeze.lr_factor = 1.0"),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_is_none_is_told_what_looks_like_it() {
        let error = explain(Some("loss.margn")).unwrap_err().to_string();
        assert!(
            error.contains("\"loss.margn\"; did you mean loss.margin"),
            "{error}"
        );
        let error = explain(Some("qqq")).unwrap_err().to_string();
        assert!(error.contains("lists all keys"), "{error}");
    }

    #[test]
    fn a_checked_configuration_is_the_same_configuration_with_nothing_left_to_guess() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("configs/contrastive_cosine.toml");
        let text = check(&path).unwrap();
        let again = parse(text.as_bytes()).unwrap();
        let (config, _) = read(&path).unwrap();
        assert_eq!(again, effective(config));
        for line in [
            "sampler = \"pairs\"",
            "embedding_dim = 256",
            "weight_decay = 0.0",
            "rotation_deg = 15.0",
            "# not set: optimizer.clip_norm, ",
            ", [memory], augment.crop_scale, augment.views, [ema], runtime.feature_cache_gib, runtime.feature_cache_dir\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
