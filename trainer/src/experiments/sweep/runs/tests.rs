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
    let runs = grid(
        "base = \"base.toml\"\n[grid]\n\"loss.margin\" = [0.2, 0.5]\noptimizer.lr = [1e-3, 0.01]\n",
    )
    .unwrap();
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
fn seeds_are_those_that_follow_and_meet_no_others() {
    let one = grid("base = \"base.toml\"\n[grid]\n\"loss.margin\" = [0.2, 0.5]\n").unwrap();
    assert_eq!(with_seeds(one.clone(), 1).unwrap(), one);
    let three = with_seeds(one.clone(), 3).unwrap();
    let found: Vec<_> = three
        .iter()
        .map(|r| (r.name.as_str(), r.config.seed))
        .collect();
    let expected = [
        ("margin-0.2", 42),
        ("margin-0.2_seed-43", 43),
        ("margin-0.2_seed-44", 44),
        ("margin-0.5", 42),
        ("margin-0.5_seed-43", 43),
        ("margin-0.5_seed-44", 44),
    ];
    assert_eq!(found, expected);
    assert_eq!(three[0], one[0]);
    for run in &three {
        assert_eq!(config::parse(&run.bytes).unwrap(), run.config);
        let same = TrainConfig {
            seed: 42,
            ..run.config.clone()
        };
        assert!(one.iter().any(|run| run.config == same));
    }
    let seeds = grid("base = \"base.toml\"\n[grid]\nseed = [1, 2]\n").unwrap();
    let error = with_seeds(seeds, 2).unwrap_err().to_string();
    assert!(
        error.contains("seed-1_seed-2 and seed-2 would be the same run"),
        "{error}"
    );
    let last = grid(&format!(
        "base = \"base.toml\"\n[grid]\nseed = [{}]\n",
        i64::MAX
    ))
    .unwrap();
    let error = with_seeds(last, 2).unwrap_err().to_string();
    assert!(error.contains("is too large"), "{error}");
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
