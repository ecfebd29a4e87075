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

/// Runs a command (program and arguments, split at `|`) in `workspace` and returns its exit code, and what it says on
/// standard output and standard error where these are pipes.
fn run(
    workspace: &Workspace,
    line: &str,
    stdout: Stdio,
    stderr: Stdio,
) -> (Option<i32>, String, String) {
    let mut words = line.split('|');
    let output = binary(words.next().unwrap())
        .args(words)
        .current_dir(workspace.path(""))
        .env("RUST_LOG", "info")
        .stdout(stdout)
        .stderr(stderr)
        .output()
        .expect("it starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(!told.contains("panicked"), "{line}: {told}");
    (output.status.code(), said, told)
}

/// A dataset with a split `s`, a configuration of one epoch, a run of it, its embeddings and its evaluation.
fn prepared() -> (Workspace, String) {
    let workspace = Workspace::new();
    let raw = small_dataset().path("raw").display().to_string();
    workspace.write("small.toml", "side = 32\nregion = \"object\"\n");
    workspace.ok(
        "logodex-data",
        &format!("build --raw {raw} --out dataset --config small.toml"),
    );
    workspace.ok(
        "logodex-data",
        "split --dataset dataset --name s --seed 1 --test 0.3 --val 0.3",
    );
    let tiny = std::fs::read_to_string(tiny_config()).unwrap();
    let lines = tiny.lines().filter(|line| !line.starts_with("unfreeze"));
    let one: Vec<&str> = lines.collect();
    workspace.write(
        "one.toml",
        &(one.join("\n").replace("epochs = 3", "epochs = 1")
            + "\n[checkpoint]\nevery_epochs = 1\n"),
    );
    workspace.ok(
        "logodex-train",
        "fit --dataset dataset --split s --config one.toml --run run",
    );
    for fold in ["val", "test"] {
        workspace.ok(
            "logodex-train",
            &format!(
                "embed --dataset dataset --split s --run run --fold {fold} --out {fold}.safetensors"
            ),
        );
    }
    workspace.ok(
        "logodex-eval",
        "evaluate --dataset dataset --split s --embeddings test.safetensors --embeddings val.safetensors --name mine --out mine",
    );
    (workspace, raw)
}

/// Every command of every program; what it makes goes to OUT, a place of its own each time.
const COMMANDS: [&str; 34] = [
    "logodex-fixtures|tree|--out|OUT|--brands|2|--images-per-brand|2",
    "logodex-fixtures|tree|--help",
    "logodex-fixtures|--version",
    "logodex-data|plan|--raw|RAW|--out|OUT",
    "logodex-data|build|--raw|RAW|--out|OUT|--config|small.toml",
    "logodex-data|build|--raw|RAW|--out|OUT|--config|small.toml|--dry-run",
    "logodex-data|split|--dataset|dataset|--name|OUT|--seed|1|--test|0.3|--val|0.3",
    "logodex-data|why|dataset|row 1",
    "logodex-data|check|dataset",
    "logodex-data|stats|dataset|--out|OUT",
    "logodex-data|export|dataset|--to|webdataset|--out|OUT",
    "logodex-data|export|dataset|--to|coco|--raw|RAW|--out|OUT",
    "logodex-data|export|dataset|--to|folders|--split|s|--raw|RAW|--out|OUT",
    "logodex-data|help|build",
    "logodex-data|--version",
    "logodex-train|fit|--dataset|dataset|--split|s|--config|one.toml|--run|OUT",
    "logodex-train|fit|--dataset|dataset|--split|s|--config|one.toml|--run|run|--resume",
    "logodex-train|preview|--dataset|dataset|--split|s|--config|one.toml|--out|OUT.png",
    "logodex-train|embed|--dataset|dataset|--split|s|--run|run|--fold|test|--out|OUT",
    "logodex-train|config|--explain",
    "logodex-train|config|--check|one.toml",
    "logodex-train|sweep|--dataset|dataset|--split|s|--out|OUT|--configs|one.toml",
    "logodex-train|sweep|--dataset|dataset|--split|s|--out|OUT|--configs|one.toml|--dry-run",
    "logodex-train|curve|--dataset|dataset|--split|s|--out|OUT|run",
    "logodex-train|evaluate|--dataset|dataset|--split|s|--run|run|--out|OUT",
    "logodex-train|report|--out|OUT|mine",
    "logodex-train|selfcheck|--device|cpu|--threads|1|--arch|resnet18|--side|32|--batch|8|--out|OUT",
    "logodex-train|bench|--device|cpu|--threads|1|--arch|resnet18|--side|32|--batch|4|--seconds|0.02|--rounds|1|--out|OUT",
    "logodex-train|--help",
    "logodex-train|--version",
    "logodex-eval|evaluate|--dataset|dataset|--split|s|--embeddings|test.safetensors|--embeddings|val.safetensors|--name|mine|--out|OUT",
    "logodex-eval|floors|--dataset|dataset|--split|s|--out|OUT",
    "logodex-eval|report|--out|OUT|mine",
    "logodex-eval|evaluate|--help",
];

#[test]
fn output_that_nobody_reads_ends_no_work_and_output_that_is_lost_fails() {
    let (workspace, raw) = prepared();
    for (number, line) in COMMANDS.iter().enumerate() {
        let line = |way: &str| {
            line.replace("OUT", &format!("{way}{number}"))
                .replace("RAW", &raw)
        };
        // What takes many seconds is run once, with the worst of both.
        let is_long = ["fit|--dataset", "sweep", "selfcheck", "bench"]
            .iter()
            .any(|word| line("").contains(&format!("logodex-train|{word}")));
        let ways: &[&str] = if is_long {
            &["full"]
        } else {
            &["pipe", "full"]
        };
        if is_long {
            let (code, ..) = run(&workspace, &line("full"), full(), closed());
            assert_eq!(code, Some(1), "{} > /dev/full 2>&-", line("full"));
        } else {
            let (code, ..) = run(&workspace, &line("pipe"), closed(), closed());
            assert_eq!(code, Some(0), "{} 2>&1 | head -0", line("pipe"));
            let (code, _, told) = run(&workspace, &line("full"), full(), Stdio::piped());
            assert_eq!(code, Some(1), "{} > /dev/full: {told}", line("full"));
            assert!(told.contains("standard output"), "{told}");
        }
        // The work was done all the same.
        for way in ways {
            let made = match line("OUT") {
                line if line.contains("--dry-run") || !line.contains("OUT") => continue,
                line if line.contains("|split|") => format!("dataset/splits/{way}{number}.json"),
                line if line.ends_with(".png") => format!("{way}{number}.png"),
                _ => format!("{way}{number}"),
            };
            assert!(workspace.path(&made).exists(), "{}: no {made}", line(way));
        }
    }
    workspace.ok("logodex-data", "check pipe4");
    workspace.ok("logodex-data", "check full4");
}

#[test]
fn a_closed_standard_error_hides_neither_results_nor_exit_codes() {
    let (workspace, raw) = (Workspace::new(), small_dataset().path("raw"));
    let plan = format!("logodex-data|plan|--raw|{}|--out|plan.json", raw.display());
    for stderr in [closed, full] {
        let (code, said, _) = run(&workspace, &plan, Stdio::piped(), stderr());
        assert_eq!(code, Some(0));
        assert!(said.contains("folders -> "), "{said}");
        for program in [
            "logodex-data|check",
            "logodex-train|fit",
            "logodex-eval|floors",
        ] {
            let (code, ..) = run(&workspace, program, Stdio::piped(), stderr());
            assert_eq!(code, Some(2), "{program} without its arguments");
        }
        let nowhere = "logodex-data|check|nowhere";
        let (code, ..) = run(&workspace, nowhere, full(), stderr());
        assert_eq!(code, Some(2), "{nowhere}");
    }
}

#[test]
fn thousands_of_threads_are_bounded_with_a_word() {
    let workspace = Workspace::new();
    let raw = small_dataset().path("raw").display().to_string();
    workspace.write("small.toml", "side = 32\nregion = \"object\"\n");
    let line =
        format!("logodex-data|build|--raw|{raw}|--out|out|--config|small.toml|--threads|100000");
    let (code, _, told) = run(&workspace, &line, Stdio::null(), Stdio::piped());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("--threads 100000"), "{told}");
    let tree = "tree --out tree --brands 2 --images-per-brand 2 --threads 100000";
    let told = workspace.fails(2, "logodex-fixtures", tree);
    assert!(told.contains("--threads 100000"), "{told}");
}
