//! What cannot be printed ends no work: a reader may go, at either stream; results that are lost otherwise fail the command.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use crate::workspace::{Workspace, binary, small_dataset, tiny_config};

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Stdio::from(OwnedFd::from(writer))
}

fn full() -> Stdio {
    Stdio::from(File::options().write(true).open("/dev/full").unwrap())
}

/// Runs a command in `workspace` and returns its exit code and what it says on standard error, if that is read.
fn run(
    workspace: &Workspace,
    line: &str,
    stdout: Stdio,
    stderr: Option<Stdio>,
) -> (Option<i32>, String) {
    let mut words = line.split_whitespace();
    let output = binary(words.next().unwrap())
        .args(words)
        .current_dir(workspace.path(""))
        .env("RUST_LOG", "info")
        .stdout(stdout)
        .stderr(stderr.unwrap_or_else(Stdio::piped))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn output_that_nobody_reads_ends_no_work_and_output_that_is_lost_fails() {
    let workspace = Workspace::new();
    let dataset = small_dataset().path("dataset");
    let (dataset, config) = (dataset.display(), tiny_config());
    let raw = small_dataset().path("raw");
    workspace.write("small.toml", "side = 32\nregion = \"object\"\n");
    // What a command makes goes to a place of its own each time: OUT.
    let lines = [
        "logodex-fixtures tree --out OUT --brands 2 --images-per-brand 2".to_owned(),
        "logodex-fixtures --help".to_owned(),
        format!("logodex-data plan --raw {} --out OUT", raw.display()),
        format!(
            "logodex-data build --raw {} --out OUT --config small.toml",
            raw.display()
        ),
        format!("logodex-data split --dataset {dataset} --name OUT --seed 1 --test 0.3 --val 0.3"),
        format!("logodex-data why {dataset} row\u{a0}1"),
        format!("logodex-data check {dataset}"),
        format!("logodex-data stats {dataset} --out OUT"),
        format!("logodex-data export {dataset} --to webdataset --out OUT"),
        "logodex-data help build".to_owned(),
        format!(
            "logodex-train fit --dataset {dataset} --split s --config {} --run OUT",
            config.display()
        ),
        format!(
            "logodex-train embed --dataset {dataset} --split s --run RUN --fold test --out OUT"
        ),
        "logodex-train config --explain".to_owned(),
        "logodex-train --version".to_owned(),
        format!("logodex-eval floors --dataset {dataset} --split s --out OUT"),
        "logodex-eval evaluate --help".to_owned(),
    ];
    let mut run_dir = None;
    for (number, line) in lines.iter().enumerate() {
        let line = line.replace("RUN", run_dir.as_deref().unwrap_or("RUN"));
        let line = |way: &str| line.replace("OUT", &format!("{way}{number}"));
        if line("").contains("why") {
            // Its argument has a space, which this test's lines split at: a brand does as well.
            let brand =
                std::fs::read_to_string(small_dataset().path("dataset/brands.csv")).unwrap();
            let brand = brand.lines().nth(1).unwrap().split(',').nth(2).unwrap();
            let line = format!("logodex-data why {dataset} {}", brand.trim_matches('"'));
            let (code, said) = run(&workspace, &line, full(), None);
            assert_eq!(code, Some(1), "{line}: {said}");
            continue;
        }
        let (code, said) = run(&workspace, &line("pipe"), closed(), Some(closed()));
        assert_eq!(code, Some(0), "{} 2>&1 | head -0: {said}", line("pipe"));
        let (code, said) = run(&workspace, &line("full"), full(), None);
        assert_eq!(code, Some(1), "{} > /dev/full: {said}", line("full"));
        assert!(said.contains("standard output"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        if line("").contains("fit") {
            run_dir = Some(format!("full{number}"));
        }
    }
    // The work was done all the same.
    assert!(workspace.path("pipe3/manifest.json").exists());
    assert!(workspace.path("full3/manifest.json").exists());
}

#[test]
fn thousands_of_threads_are_bounded_with_a_word() {
    let workspace = Workspace::new();
    let raw = small_dataset().path("raw");
    workspace.write("small.toml", "side = 32\nregion = \"object\"\n");
    let line = format!(
        "logodex-data build --raw {} --out out --config small.toml --threads 100000",
        raw.display()
    );
    let (code, said) = run(&workspace, &line, Stdio::null(), None);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("--threads 100000"), "{said}");
    let tree = "tree --out tree --brands 2 --images-per-brand 2 --threads 100000";
    let said = workspace.fails(2, "logodex-fixtures", tree);
    assert!(said.contains("--threads 100000"), "{said}");
}
