//! Reads the keys of a configuration from the JSON Schema of its type: the one source of what `config --explain` prints
//! and of what a misspelt key is told. Nothing about a key is written down a second time.

use serde_json::Value;

/// A table of the configuration.
#[derive(Debug, Clone)]
pub struct Table {
    /// Dotted, as `schedule.unfreeze`; the root's is empty.
    pub path: String,
    /// What it is for.
    pub text: Text,
    /// What stands for it when it is left out.
    pub default: Default,
    /// Its keys; of a table that is chosen by `kind`, that key alone.
    pub keys: Vec<Key>,
    /// The further keys of each `kind`.
    pub variants: Vec<Variant>,
}

/// What a table that is chosen by `kind` holds for one of them.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The value of `kind`.
    pub kind: String,
    /// What this kind is.
    pub text: Text,
    /// Its keys, without `kind`.
    pub keys: Vec<Key>,
}

/// A key that holds a value.
#[derive(Debug, Clone)]
pub struct Key {
    /// Dotted, as `loss.margin`.
    pub path: String,
    /// What is said of it.
    pub text: Text,
    /// The kind of value, in words.
    pub holds: &'static str,
    /// The words that are allowed, each with its meaning; empty where it is no choice.
    pub choices: Vec<(String, String)>,
    /// What stands for it when it is left out.
    pub default: Default,
}

/// What stands for a key or table that is left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Default {
    /// Nothing: it must be given.
    Required,
    /// It stays unset.
    Unset,
    /// This value.
    Value(Value),
}

/// A doc comment, taken apart by its lines `Unit:` and `Source:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What it does and what it may be, in one paragraph.
    pub meaning: String,
    /// Unit of a number.
    pub unit: Option<String>,
    /// Where it, or its usual value, comes from.
    pub source: Option<String>,
}

impl Key {
    /// The last part of its path.
    pub fn name(&self) -> &str {
        last(&self.path)
    }
}

impl Table {
    /// Its keys and then those of each kind, as (kind, key).
    pub fn all_keys(&self) -> impl Iterator<Item = (Option<&str>, &Key)> {
        let of_kinds = self
            .variants
            .iter()
            .flat_map(|v| v.keys.iter().map(|key| (Some(v.kind.as_str()), key)));
        self.keys.iter().map(|key| (None, key)).chain(of_kinds)
    }
}

/// Every table of a configuration, the root first, then in the order of the type.
pub fn tables() -> Vec<Table> {
    let schema = logodex_schemas::json_schemas()
        .into_iter()
        .find_map(|(name, schema)| (name == "train_config").then_some(schema))
        .unwrap_or_default();
    let walk = Walk { schema: &schema };
    let mut tables = Vec::new();
    walk.table(
        &schema,
        String::new(),
        text(""),
        Default::Required,
        &mut tables,
    );
    tables
}

/// The last part of a dotted path.
pub fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The path of `name` in the table at `table`.
pub fn join(table: &str, name: &str) -> String {
    match table {
        "" => name.to_owned(),
        _ => format!("{table}.{name}"),
    }
}

/// The paths of keys and tables that someone who wrote `path` may have meant, the likeliest first, at most three: names
/// that look alike (Jaro-Winkler ≥ 0.85), before others those of the same table.
pub fn nearest(tables: &[Table], path: &str) -> Vec<String> {
    let (name, table) = (
        last(path),
        path.rsplit_once('.').map_or("", |(table, _)| table),
    );
    let mut near: Vec<(f64, String)> = Vec::new();
    for t in tables {
        let keys = t.all_keys().map(|(_, key)| key.path.as_str());
        for candidate in keys
            .chain([t.path.as_str()])
            .filter(|path| !path.is_empty())
        {
            let alike = strsim::jaro_winkler(name, last(candidate));
            let home = candidate.rsplit_once('.').map_or("", |(table, _)| table);
            let score = alike + if home == table { 0.5 } else { 0.0 };
            if alike >= 0.85 && !near.iter().any(|(_, known)| known == candidate) {
                near.push((score, candidate.to_owned()));
            }
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.into_iter().take(3).map(|(_, path)| path).collect()
}

/// A walk over the schema, which refers to its own definitions.
struct Walk<'s> {
    schema: &'s Value,
}

impl<'s> Walk<'s> {
    /// The definition that a schema refers to, also through "this or null"; else the schema itself.
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        if let Some(name) = schema["$ref"].as_str() {
            return &self.schema["$defs"][last(&name.replace('/', "."))];
        }
        match schema["anyOf"].as_array() {
            Some(any) => any
                .iter()
                .find(|one| one["type"] != "null")
                .map_or(schema, |one| self.resolve(one)),
            None => schema,
        }
    }

    /// Adds the table that `schema` defines and those within it.
    fn table(
        &self,
        schema: &'s Value,
        path: String,
        text: Text,
        default: Default,
        into: &mut Vec<Table>,
    ) {
        let at = into.len();
        into.push(Table {
            path: path.clone(),
            text,
            default,
            keys: Vec::new(),
            variants: Vec::new(),
        });
        if schema["properties"].is_object() {
            into[at].keys = self.keys(schema, &path, into);
            return;
        }
        let kinds = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
        let kind_of = |one: &Value| {
            one["properties"]["kind"]["const"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let default = match &into[at].default {
            Default::Value(value) => Default::Value(value["kind"].clone()),
            _ => Default::Required,
        };
        into[at].keys = vec![Key {
            path: join(&path, "kind"),
            text: description(schema),
            holds: "a word",
            choices: kinds
                .iter()
                .map(|one| (kind_of(one), description(one).meaning))
                .collect(),
            default,
        }];
        for one in kinds {
            let mut keys = self.keys(one, &path, into);
            keys.retain(|key| key.name() != "kind");
            into[at].variants.push(Variant {
                kind: kind_of(one),
                text: description(one),
                keys,
            });
        }
    }

    /// The keys of a table; tables within it are added to `into`.
    fn keys(&self, schema: &'s Value, path: &str, into: &mut Vec<Table>) -> Vec<Key> {
        let mut keys = Vec::new();
        let required = |name: &str| {
            schema["required"]
                .as_array()
                .is_some_and(|r| r.iter().any(|n| n == name))
        };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = join(path, name);
            let default = match property.get("default") {
                _ if required(name) => Default::Required,
                None | Some(Value::Null) => Default::Unset,
                Some(value) => Default::Value(value.clone()),
            };
            let definition = match property["type"] == "array" {
                true => self.resolve(&property["items"]),
                false => self.resolve(property),
            };
            let is_kinds = |one: &Value| one["properties"].is_object();
            if is_kinds(definition)
                || definition["oneOf"]
                    .as_array()
                    .is_some_and(|o| o.iter().all(is_kinds))
            {
                self.table(definition, path, description(property), default, into);
                continue;
            }
            keys.push(Key {
                path,
                text: description(property),
                holds: holds(definition),
                choices: choices(definition),
                default,
            });
        }
        keys
    }
}

fn choices(schema: &Value) -> Vec<(String, String)> {
    let one_of = schema["oneOf"].as_array().into_iter().flatten();
    one_of
        .filter_map(|one| Some((one["const"].as_str()?.to_owned(), description(one).meaning)))
        .collect()
}

/// A schema's type in words: `"integer"` or `["integer", "null"]`, or a choice.
fn holds(schema: &Value) -> &'static str {
    let is = |name: &str| {
        schema["type"] == name
            || schema["type"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == name))
    };
    match () {
        () if is("integer") => "a whole number",
        () if is("number") => "a number",
        () if is("boolean") => "true or false",
        () if schema["oneOf"].is_array() => "a word",
        () => "text",
    }
}

fn description(schema: &Value) -> Text {
    text(schema["description"].as_str().unwrap_or_default())
}

/// Takes a doc comment apart. A line that begins with neither word goes on with what the line before said.
fn text(comment: &str) -> Text {
    let (mut meaning, mut unit, mut source) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = &mut meaning;
    for line in comment.lines() {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix("Unit:") {
            (now, line) = (&mut unit, rest.trim());
        } else if let Some(rest) = line.strip_prefix("Source:") {
            (now, line) = (&mut source, rest.trim());
        }
        now.push(line);
    }
    let whole = |lines: Vec<&str>| lines.join(" ").trim().to_owned();
    let some = |lines: Vec<&str>| {
        let text = whole(lines).trim_end_matches('.').to_owned();
        (!text.is_empty()).then_some(text)
    };
    Text {
        meaning: whole(meaning),
        unit: some(unit),
        source: some(source),
    }
}

#[cfg(test)]
mod tests;
