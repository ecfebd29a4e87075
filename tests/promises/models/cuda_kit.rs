//! The kit for a CUDA machine stands on its own, and what it checks and times can be run, and fail, without a GPU.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::workspace::{Workspace, binary, repository};

/// Small enough for a CPU.
const CHECK: &str = "14 8 32";
const BENCH: &str = "8 4 32";

fn libtorch() -> PathBuf {
    match std::env::var_os("LIBTORCH") {
        Some(path) => path.into(),
        None => repository().join("third_party/libtorch"),
    }
}

fn text(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    format!("{stdout}{}", String::from_utf8_lossy(&output.stderr))
}

/// Makes a kit beside the programs that this test was built with.
fn make_kit(kit: &Path, check: &str, bench: &str, limit_mib: &str) -> Output {
    let program = binary("logodex-train").get_program().to_owned();
    Command::new(repository().join("scripts/cuda_kit.sh"))
        .arg(Path::new(&program).parent().expect("a folder"))
        .arg(kit)
        .env("CHECK", check)
        .env("BENCH", bench)
        .env("LIMIT_MIB", limit_mib)
        .output()
        .expect("bash is there")
}

/// `run.sh` of a kit, in the workspace's folder, on the libtorch that this test was linked with.
fn run_sh(workspace: &Workspace, arguments: &str) -> Command {
    let mut command = Command::new(workspace.path("kit/run.sh"));
    command
        .args(arguments.split_whitespace())
        .current_dir(workspace.path("."))
        .env("LIBTORCH", libtorch())
        .env("RESULTS", workspace.path("results"));
    command
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).expect("written")).expect("JSON")
}

#[test]
fn the_kit_runs_on_its_own_and_says_what_no_gpu_has_run() {
    let workspace = Workspace::new();
    let kit = workspace.path("kit");
    let made = make_kit(&kit, CHECK, BENCH, "60");
    assert!(made.status.success(), "{}", text(&made));

    // Nothing in it points back to where it was made.
    let program = std::fs::read(kit.join("bin/logodex-train")).expect("the program");
    let holds = |needle: &str| {
        program
            .windows(needle.len())
            .any(|w| w == needle.as_bytes())
    };
    let lib = libtorch().canonicalize().expect("libtorch").join("lib");
    assert!(!holds(&lib.to_string_lossy()) && holds("$ORIGIN/../lib"));
    for path in crate::workspace::contents(&kit).keys() {
        assert!(!kit.join(path).is_symlink(), "{path}");
    }

    let tiny = "--device cpu --threads 1 --arch resnet18 --side 32 --batch 8";
    let check = run_sh(&workspace, &format!("check {tiny} --epochs 4"))
        .output()
        .expect("starts");
    let told = text(&check);
    assert!(check.status.success(), "{told}");
    assert!(told.contains("not run on a GPU"), "{told}");
    let report = json(&workspace.path("results/check.json"));
    let checks = report["checks"].as_array().expect("a list");
    for what in [
        "bf16",
        "loss triplet",
        "adamw",
        "learning",
        "resume: weights",
        "residency",
    ] {
        let of =
            |check: &&serde_json::Value| check["name"].as_str().is_some_and(|n| n.contains(what));
        let found: Vec<_> = checks.iter().filter(of).collect();
        assert!(
            !found.is_empty() && found.iter().all(|check| check["ok"] == true),
            "{what}"
        );
    }

    let bench = run_sh(
        &workspace,
        &format!("bench {tiny} --seconds 0.05 --rounds 1"),
    )
    .output()
    .expect("starts");
    assert!(bench.status.success(), "{}", text(&bench));
    let report = json(&workspace.path("results/bench.json"));
    for row in report["rows"].as_array().expect("a list") {
        let timed = row["median"].as_f64().is_some_and(|speed| speed > 0.0);
        let runs_here = row["who"] == "logodex" && row["precision"] != "tf32";
        assert_eq!(
            (timed, row["skipped"].is_null()),
            (runs_here, runs_here),
            "{row}"
        );
    }
    let table = std::fs::read_to_string(workspace.path("results/bench.md")).expect("written");
    assert!(table.contains("not run on a GPU"), "{table}");
}

#[test]
fn a_check_that_fails_is_named_and_ends_with_1() {
    let workspace = Workspace::new();
    // Equality bit by bit, which bf16 cannot keep.
    let stderr = workspace.fails(
        1,
        "logodex-train",
        "selfcheck --device cpu --threads 1 --arch resnet18 --side 32 --batch 8 --tolerance 0",
    );
    assert!(stderr.contains("bf16 NCHW: gradients"), "{stderr}");
    assert!(!stderr.contains("dropout"), "{stderr}");
}

#[test]
fn a_kit_that_is_too_large_and_a_torch_of_another_version_are_refused() {
    let workspace = Workspace::new();
    let made = make_kit(&workspace.path("kit"), "4 3 32", "4 3 32", "1");
    let told = text(&made);
    assert!(
        !made.status.success() && told.contains("limit is 1 MiB"),
        "{told}"
    );

    workspace.write("build-version", "2.10.0+cu130\n");
    let other = run_sh(&workspace, "check")
        .env("LIBTORCH", workspace.path("."))
        .output();
    let other = other.expect("starts");
    assert_eq!(other.status.code(), Some(1));
    let told = text(&other);
    assert!(told.contains("2.10.0") && told.contains("2.11.0"), "{told}");
}
