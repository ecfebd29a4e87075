//! The commands that lead to a report, so that a reader can do the same.

use crate::report::load::inputs::Inputs;

/// The commands that lead to this report; paths are the reader's own.
pub fn commands(inputs: &Inputs) -> Vec<String> {
    let Some(first) = inputs.models.first() else {
        return Vec::new();
    };
    let split = shell(&first.evaluation.split);
    let mut commands = vec![
        "logodex-data build --raw RAW --out DATASET".to_owned(),
        format!("logodex-data split --dataset DATASET --name {split} --seed SEED"),
    ];
    let stats = inputs.stats.as_ref().map(|_| "RUNS/dataset");
    if let Some(folder) = stats {
        commands.push(format!("logodex-data stats DATASET --out {folder}"));
    }
    for model in inputs.models.iter().filter(|m| m.config.is_some()) {
        let run = shell(&format!("RUNS/{}", model.folder));
        commands.push(format!(
            "logodex-train fit --dataset DATASET --split {split} --config {run}/config.toml --run {run}"
        ));
    }
    let mut folders: Vec<String> = stats.map(str::to_owned).into_iter().collect();
    for model in &inputs.models {
        let folder = shell(&format!("RUNS/{}", model.folder));
        let what = match model.config.is_some() {
            true => format!("--run {folder}"),
            false => "(--run RUN | --embeddings FILE)".to_owned(),
        };
        let name = match model.config.is_some() && model.folder == model.name {
            true => String::new(),
            false => format!(" --name {}", shell(&model.name)),
        };
        commands.push(format!(
            "logodex-train evaluate --dataset DATASET --split {split} {what}{name} --out {folder} --seed {}",
            model.evaluation.seed
        ));
        folders.push(folder);
    }
    commands.push(format!(
        "logodex-train report --out REPORT {}",
        folders.join(" ")
    ));
    commands
}

/// A word for a POSIX shell, quoted where it must be.
fn shell(word: &str) -> String {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || "._-/+=:,@%".contains(c);
    match !word.is_empty() && word.chars().all(ordinary) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(shell("runs/a-b_1"), "runs/a-b_1");
        assert_eq!(shell("it's; rm"), "'it'\\''s; rm'");
        assert_eq!(shell(""), "''");
    }
}
