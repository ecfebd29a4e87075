//! Finds slips in the names of a configuration: unknown and missing keys and words that are no choice, each with its
//! line and with what was probably meant. serde stops at the first, and of a table that is chosen by `kind` it knows no
//! lines.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::habits::habit;
use super::keys::{Default, Key, Table, join, last, nearest, tables};

/// Every slip in the names of `text`, in the order of the file; none where it is no TOML, which the parser tells
/// better.
pub fn slips(text: &str) -> Vec<String> {
    let Ok(document) = DeTable::parse(text) else {
        return Vec::new();
    };
    let tables = tables();
    let mut check = Check {
        text,
        tables: &tables,
        slips: Vec::new(),
    };
    check.table(document.get_ref(), 0, "");
    check.slips.sort_by_key(|(at, _)| *at);
    check.slips.into_iter().map(|(_, slip)| slip).collect()
}

struct Check<'t> {
    text: &'t str,
    tables: &'t [Table],
    /// Byte and message.
    slips: Vec<(usize, String)>,
}

impl Check<'_> {
    /// Checks the names in the table at `path`, which begins at byte `at`.
    fn table(&mut self, document: &DeTable<'_>, at: usize, path: &str) {
        let Some(table) = self.tables.iter().find(|t| t.path == path) else {
            return;
        };
        let kind = match document.get("kind").map(Spanned::get_ref) {
            Some(DeValue::String(kind)) => Some(kind.as_ref()),
            _ => None,
        };
        let of_kind = table
            .variants
            .iter()
            .find(|v| Some(v.kind.as_str()) == kind);
        // With a kind that is none of them, nothing is known about the other keys.
        let kind_is_known = table.variants.is_empty() || of_kind.is_some();
        let keys = || {
            table
                .keys
                .iter()
                .chain(of_kind.into_iter().flat_map(|v| &v.keys))
        };
        for (name, value) in document {
            let here = join(path, name.get_ref());
            if let Some(key) = keys().find(|key| key.path == here) {
                self.word(key, value);
            } else if self.tables.iter().any(|t| t.path == here) {
                self.below(value, name.span().start, &here);
            } else if kind_is_known {
                self.unknown(table, kind, &here, name.span().start);
            }
        }
        let given = |path: &str| document.contains_key(last(path));
        let is_in = |t: &&Table| !t.path.is_empty() && join(path, last(&t.path)) == t.path;
        let tables = self
            .tables
            .iter()
            .filter(is_in)
            .map(|t| (&t.path, &t.default));
        for (missing, default) in keys().map(|key| (&key.path, &key.default)).chain(tables) {
            // A table that is given must say its kind, whatever stands for the table when it is left out.
            let is_kind = !table.variants.is_empty() && last(missing) == "kind";
            if (*default == Default::Required || is_kind) && !given(missing) {
                let with = match of_kind {
                    Some(v) if !is_kind => format!(", which {path}.kind = {:?} needs", v.kind),
                    _ => ", which has no default".to_owned(),
                };
                self.tell(at, format!("{missing} is missing{with}"));
            }
        }
    }

    /// A table below, or a list of them.
    fn below(&mut self, value: &Spanned<DeValue<'_>>, at: usize, path: &str) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, at, path),
            DeValue::Array(list) => list.iter().for_each(|one| {
                if let DeValue::Table(table) = one.get_ref() {
                    self.table(table, one.span().start, path);
                }
            }),
            // Of another type: the parser's to tell.
            _ => {}
        }
    }

    fn word(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let DeValue::String(word) = value.get_ref() else {
            return;
        };
        let choices = || key.choices.iter().map(|(choice, _)| choice.as_str());
        if key.choices.is_empty() || choices().any(|choice| choice == word) {
            return;
        }
        let alike = |choice: &str| strsim::jaro_winkler(word, choice);
        let meant = choices()
            .filter(|choice| alike(choice) >= 0.85)
            .max_by(|a, b| alike(a).total_cmp(&alike(b)));
        let hint = match meant {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("it is one of {}", list(choices())),
        };
        self.tell(
            value.span().start,
            format!("{} = {word:?} is no choice; {hint}", key.path),
        );
    }

    fn unknown(&mut self, table: &Table, kind: Option<&str>, path: &str, at: usize) {
        let owners: Vec<&str> = table
            .variants
            .iter()
            .filter(|v| v.keys.iter().any(|key| key.path == path))
            .map(|v| v.kind.as_str())
            .collect();
        let hint = if let (Some(kind), [_, ..]) = (kind, owners.as_slice()) {
            format!(
                "{}.kind = {kind:?} has no such key, only {} has",
                table.path,
                list(owners.into_iter())
            )
        } else if let Some(habit) = habit(last(path)) {
            habit.to_owned()
        } else {
            match nearest(self.tables, path).first() {
                Some(meant) => format!("did you mean {meant}?"),
                None => "`logodex-train config --explain` lists all keys".to_owned(),
            }
        };
        self.tell(at, format!("unknown key {path}; {hint}"));
    }

    fn tell(&mut self, at: usize, what: String) {
        let line = self.text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        self.slips.push((at, format!("line {line}: {what}")));
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words
        .map(|word| format!("{word:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"seed = 1
[model]
arch = "resnet18"
head = "triplet"
[loss]
kind = "triplet"
margin = 1.0
[schedule]
epochs = 3
freeze = 4
unfreeze = [
    { epoch = 1, freeze = 3 },
]
[data]
batch = 8
[augment]
"#;

    #[test]
    fn each_slip_is_told_with_its_line_and_what_was_meant() {
        assert_eq!(slips(GOOD), Vec::<String>::new());
        for (from, to, told) in [
            (
                "seed = 1",
                "sead = 1",
                "line 1: unknown key sead; did you mean seed?",
            ),
            (
                "batch = 8",
                "bacth = 8",
                "line 15: unknown key data.bacth; did you mean data.batch?",
            ),
            (
                "batch = 8",
                "batch_size = 8",
                "line 15: unknown key data.batch_size; did you mean data.batch?",
            ),
            (
                "batch = 8",
                "batch = 8\nworkers = 4",
                "line 16: unknown key data.workers; there are no loader processes: pictures are read ahead by threads of the program itself; runtime.threads is the number of CPU threads",
            ),
            (
                "[augment]",
                "[scheduler]",
                "line 16: unknown key scheduler; it is schedule.lr = \"constant\", \"step\" or \"cosine\"",
            ),
            (
                "[augment]",
                "[augmentation]",
                "line 16: unknown key augmentation; did you mean augment?",
            ),
            (
                "epochs = 3",
                "epoch = 3",
                "line 9: unknown key schedule.epoch; did you mean schedule.epochs?",
            ),
            (
                "freeze = 4",
                "momentum = 0.9",
                "line 10: unknown key schedule.momentum; did you mean optimizer.momentum?",
            ),
            (
                "freeze = 3 }",
                "frieze = 3 }",
                "line 12: unknown key schedule.unfreeze.frieze; did you mean schedule.unfreeze.freeze?",
            ),
            (
                "batch = 8",
                "zzz = 8",
                "line 15: unknown key data.zzz; `logodex-train config --explain` lists all keys",
            ),
            (
                "margin = 1.0",
                "margn = 1.0",
                "line 7: unknown key loss.margn; did you mean loss.margin?",
            ),
            (
                "margin = 1.0",
                "margin = 1.0\ntemperature = 0.1",
                "line 8: unknown key loss.temperature; loss.kind = \"triplet\" has no such key, only \"norm_softmax\", \"sup_con\" has",
            ),
            (
                "margin = 1.0",
                "",
                "line 5: loss.margin is missing, which loss.kind = \"triplet\" needs",
            ),
            (
                "kind = \"triplet\"",
                "kind = \"tripplet\"",
                "line 6: loss.kind = \"tripplet\" is no choice; did you mean \"triplet\"?",
            ),
            (
                "kind = \"triplet\"",
                "",
                "line 5: loss.kind is missing, which has no default",
            ),
            (
                "\"resnet18\"",
                "\"vgg16\"",
                "line 3: model.arch = \"vgg16\" is no choice; it is one of \"resnet18\", \"resnet34\", \"resnet50\", \"efficientnet_lite0\", \"efficientnet_lite1\", \"efficientnet_lite2\"",
            ),
            (
                "head = \"triplet\"",
                "",
                "line 2: model.head is missing, which has no default",
            ),
            (
                "epoch = 1, freeze = 3",
                "epoch = 1",
                "line 12: schedule.unfreeze.freeze is missing, which has no default",
            ),
            (
                "[augment]",
                "[miner]\nepsilon = 0.1",
                "line 16: miner.kind is missing, which has no default",
            ),
            (
                "[augment]",
                "[miner]\nkind = \"batch_hard\"\nepsilon = 0.1",
                "line 18: unknown key miner.epsilon; miner.kind = \"batch_hard\" has no such key, only \"multi_similarity\" has",
            ),
            (
                "[augment]",
                "[ema]",
                "line 16: ema.decay is missing, which has no default",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let found = slips(&text);
            assert!(found.contains(&told.to_owned()), "{to}: {found:#?}");
        }
    }

    #[test]
    fn all_slips_of_a_file_are_told_at_once_in_its_order() {
        let text = GOOD
            .replace("batch", "bacth")
            .replace("margin", "margn")
            .replace("seed", "sed");
        let found = slips(&text);
        let lines: Vec<&str> = found
            .iter()
            .filter_map(|slip| slip.split(':').next())
            .collect();
        assert_eq!(
            lines,
            ["line 1", "line 5", "line 7", "line 15"],
            "{found:#?}"
        );
    }

    #[test]
    fn what_is_no_toml_or_of_another_type_is_left_to_the_parser() {
        assert!(slips("[model\n").is_empty());
        assert_eq!(
            slips(
                &GOOD
                    .replace("[augment]", "")
                    .replace("seed", "augment = 3\nseed")
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            slips(&GOOD.replace("batch = 8", "batch = \"8\"")),
            Vec::<String>::new()
        );
    }
}
