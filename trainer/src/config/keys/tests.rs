use logodex_schemas::train::TrainConfig;
use serde_json::{Map, json};

use super::*;

/// A configuration with nothing but what must be given, the optional tables among them; of `table` this `kind`.
fn minimal(tables: &[Table], table: &str, kind: &str) -> Value {
    let mut root = Value::Object(Map::new());
    for t in tables {
        let chosen = |v: &&Variant| {
            v.kind
                == if t.path == table {
                    kind
                } else {
                    &t.variants[0].kind
                }
        };
        let variant = t.variants.iter().find(chosen);
        let mut map = Map::new();
        for key in t
            .keys
            .iter()
            .chain(variant.into_iter().flat_map(|v| &v.keys))
        {
            let value = match (&key.default, key.holds) {
                _ if key.name() == "kind" && variant.is_some() => json!(variant.unwrap().kind),
                (Default::Required, "a word") => json!(key.choices[0].0),
                (Default::Required, "a whole number") => json!(3),
                (Default::Required, "a number") => json!(0.5),
                (Default::Required, _) => panic!("{}: no value to try", key.path),
                _ => continue,
            };
            map.insert(key.name().to_owned(), value);
        }
        let mut place = &mut root;
        let parts: Vec<&str> = t.path.split('.').filter(|part| !part.is_empty()).collect();
        for part in &parts {
            place = &mut place[*part];
        }
        *place = match t.default == Default::Value(json!([])) {
            true => json!([map]),
            false => Value::Object(map),
        };
    }
    root
}

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, part| match value {
        Value::Array(list) => &list[0][part],
        _ => &value[part],
    })
}

#[test]
fn every_default_is_what_a_minimal_configuration_has() {
    let tables = tables();
    let (mut seen, mut kinds) = (0, 0);
    for chosen in tables.iter().filter(|t| !t.variants.is_empty()) {
        for variant in &chosen.variants {
            let config: TrainConfig =
                serde_json::from_value(minimal(&tables, &chosen.path, &variant.kind))
                    .unwrap_or_else(|e| panic!("{} {}: {e}", chosen.path, variant.kind));
            let config = serde_json::to_value(&config).unwrap();
            for table in &tables {
                let kind = at(&config, &join(&table.path, "kind"));
                for (of, key) in table
                    .all_keys()
                    .filter(|(of, _)| of.is_none_or(|of| kind == of))
                {
                    assert!(of.is_none() || !table.variants.is_empty());
                    match &key.default {
                        Default::Value(_) if key.name() == "kind" && !table.variants.is_empty() => {
                            continue;
                        }
                        Default::Value(value) => {
                            assert_eq!(at(&config, &key.path), value, "{}", key.path)
                        }
                        Default::Unset => {
                            assert!(at(&config, &key.path).is_null(), "{}", key.path)
                        }
                        Default::Required => continue,
                    }
                    seen += 1;
                }
            }
            kinds += 1;
        }
    }
    assert!(
        kinds >= 14 && seen > 40 * kinds,
        "{kinds} kinds, {seen} defaults"
    );
}

#[test]
fn every_key_says_what_it_means_where_it_comes_from_and_every_number_its_unit() {
    for table in tables() {
        assert!(
            table.path.is_empty() || !table.text.meaning.is_empty(),
            "{}",
            table.path
        );
        for (_, key) in table.all_keys() {
            assert!(
                !key.text.meaning.is_empty() && key.text.source.is_some(),
                "{}",
                key.path
            );
            assert_eq!(
                key.text.unit.is_some(),
                key.holds.ends_with("number"),
                "{}",
                key.path
            );
            assert_eq!(
                !key.choices.is_empty(),
                key.holds == "a word",
                "{}",
                key.path
            );
            // A default in words would be one more place to forget.
            assert!(
                !key.text.meaning.contains("Default"),
                "{}: {}",
                key.path,
                key.text.meaning
            );
            for (word, meaning) in &key.choices {
                assert!(!meaning.is_empty(), "{} = {word:?}", key.path);
            }
        }
    }
}

#[test]
fn what_was_meant_is_found() {
    let tables = tables();
    let first = |path: &str| nearest(&tables, path).first().cloned().unwrap_or_default();
    assert_eq!(first("data.bacth"), "data.batch");
    assert_eq!(first("loss.margn"), "loss.margin");
    assert_eq!(first("schedule.momentum"), "optimizer.momentum");
    assert_eq!(first("augmentation"), "augment");
    assert_eq!(first("batch_size"), "data.batch");
    assert_eq!(first("schedule.lr"), "schedule.lr");
    assert_eq!(first("data.zzz"), "");
}

#[test]
fn a_comment_is_taken_apart() {
    let text = text("How\nmuch.\n\nUnit: degrees.\nSource: a (1),\nb (2).");
    assert_eq!(text.meaning, "How much.");
    assert_eq!(text.unit.as_deref(), Some("degrees"));
    assert_eq!(text.source.as_deref(), Some("a (1), b (2)"));
}
