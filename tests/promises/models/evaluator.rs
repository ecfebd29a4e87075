//! One evaluator for all embeddings: `logodex-eval` needs no libtorch, and comes to the numbers of `logodex-train`.

use std::path::Path;
use std::process::Command;

use crate::workspace::{Workspace, binary, contents, small_dataset};

/// A run of zero epochs, so that its embeddings cost seconds.
const UNTRAINED: &str = "seed = 7\n[model]\narch = \"resnet18\"\nhead = \"contrastive\"\nembedding_dim = 32\n[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n[schedule]\nepochs = 0\n[runtime]\nthreads = 1\n";

/// The shared libraries that a program loads, and those that they load.
fn libraries(program: &str) -> String {
    let path = binary(program).get_program().to_owned();
    let output = Command::new("ldd").arg(path).output().expect("ldd");
    String::from_utf8(output.stdout).expect("ldd prints text")
}

#[test]
fn the_evaluator_links_no_libtorch() {
    let of_trainer = libraries("logodex-train");
    assert!(of_trainer.contains("libtorch"), "{of_trainer}");
    let of_evaluator = libraries("logodex-eval");
    assert!(of_evaluator.contains("libc.so"), "{of_evaluator}");
    for library in ["libtorch", "libc10", "libgomp", "libcuda"] {
        assert!(!of_evaluator.contains(library), "{of_evaluator}");
    }
}

#[test]
fn a_run_its_embeddings_and_both_programs_come_to_the_same_bytes_and_floors_alone_to_the_same() {
    let dataset = small_dataset().path("dataset");
    let dataset = format!("--dataset {} --split s", dataset.display());
    let workspace = Workspace::new();
    workspace.write("untrained.toml", UNTRAINED);
    workspace.ok(
        "logodex-train",
        &format!("fit {dataset} --config untrained.toml --run run"),
    );
    for fold in ["val", "test"] {
        workspace.ok(
            "logodex-train",
            &format!("embed {dataset} --run run --fold {fold} --out {fold}.safetensors"),
        );
    }
    let files = "--embeddings test.safetensors --embeddings val.safetensors --name baseline_run";
    let evaluate = |program: &str, source: &str, out: &str| {
        let line = format!("evaluate {dataset} {source} --out {out}");
        let said = workspace.ok(program, &line).replace(out, "OUT");
        (said, contents(&workspace.path(out)))
    };
    let by_trainer = evaluate("logodex-train", files, "by_trainer");
    let by_evaluator = evaluate("logodex-eval", files, "by_evaluator");
    assert!(by_trainer.1.contains_key("evaluation.json") && by_trainer.1.len() > 20);
    assert!(by_trainer == by_evaluator, "the same embeddings");
    let of_run = evaluate("logodex-train", "--run run --name baseline_run", "of_run");
    assert!(of_run == by_evaluator, "a run and its embeddings");

    let report = |program: &str, out: &str| {
        let said = workspace.ok(program, &format!("report --out {out} by_evaluator"));
        (said, contents(&workspace.path(out)))
    };
    assert!(report("logodex-train", "a") == report("logodex-eval", "b"));

    let said = workspace.ok("logodex-eval", &format!("floors {dataset} --out floors"));
    for floor in ["random", "colour_histogram", "reject_all"] {
        assert!(said.contains(floor), "{said}");
        let alone = lines_of(floor, &workspace.path("floors"));
        assert!(alone.len() > 8, "{floor}: {alone:?}");
        assert_eq!(alone, lines_of(floor, &workspace.path("of_run")));
    }
}

/// The lines of `evaluation.csv` that begin with a model's name.
fn lines_of(model: &str, evaluation: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(evaluation.join("evaluation.csv")).expect("evaluation.csv");
    let own = text.lines().filter(|line| line.starts_with(model));
    own.map(str::to_owned).collect()
}
