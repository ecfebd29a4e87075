//! Ordinary Python libraries read what we write: safetensors, polars, pandas, lxml, jsonschema, pycocotools, mlcroissant
//! and TensorBoard, in the environment that `make python` installs. The checks themselves are in `tests/python`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::dataset::export::quirky;
use crate::workspace::{Workspace, binary, kill, repository, small_dataset, tiny_config};

/// The environment's interpreter: `LOGODEX_PYTHON`, or where `make python` puts it.
fn interpreter() -> PathBuf {
    let path = std::env::var_os("LOGODEX_PYTHON").map_or_else(
        || repository().join("target/python/bin/python"),
        PathBuf::from,
    );
    assert!(
        path.exists(),
        "{} is missing: run `make python`, which installs tests/python/requirements.txt, or `make test`",
        path.display()
    );
    path
}

/// Runs `tests/python/<check>.py`, which must succeed; returns its last line.
pub fn check(name: &str, arguments: &[&Path]) -> String {
    let script = repository().join(format!("tests/python/{name}.py"));
    let output = Command::new(interpreter())
        .arg("-B")
        .arg(script)
        .args(arguments)
        .output()
        .expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stdout = text(&output.stdout);
    assert!(
        output.status.success(),
        "{name} {arguments:?}\n{stdout}{}",
        text(&output.stderr)
    );
    stdout.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn safetensors_opens_the_shards_and_polars_the_catalog() {
    for workspace in [quirky(), small_dataset()] {
        check("read_shards", &[&workspace.path("dataset")]);
    }
}

#[test]
fn brands_read_back_as_texts() {
    let awkward = ["76", "999", "Bravo!,  Cucina Italiana", "7-Up"].map(Path::new);
    let dataset = quirky().path("dataset");
    let arguments: Vec<&Path> = [dataset.as_path()].into_iter().chain(awkward).collect();
    check("read_tables", &arguments);

    // A table of which every name is a number.
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 2 --images-per-brand 3 --seed 1",
    );
    let mut names = ["76", "999"].into_iter();
    for category in std::fs::read_dir(workspace.path("raw/LogoDet-3K")).unwrap() {
        for brand in std::fs::read_dir(category.unwrap().path()).unwrap() {
            let path = brand.unwrap().path();
            std::fs::rename(&path, path.with_file_name(names.next().unwrap())).unwrap();
        }
    }
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    workspace.ok("logodex-data", "split --dataset dataset --name s --seed 1");
    let said = check(
        "read_tables",
        &[
            &workspace.path("dataset"),
            Path::new("76"),
            Path::new("999"),
        ],
    );
    assert_eq!(said, "3 tables of 2 brands");
}

#[test]
fn every_document_fits_its_schema() {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 4 --images-per-brand 4 --seed 6 --quirks --defects",
    );
    workspace.ok("logodex-data", "plan --raw raw --out plan.json");
    workspace.write("build.toml", "side = 16\n");
    workspace.ok(
        "logodex-data",
        "build --raw raw --out dataset --config build.toml",
    );
    workspace.ok("logodex-data", "split --dataset dataset --name s --seed 1");
    check(
        "validate_json",
        &[
            &repository(),
            &workspace.path("dataset"),
            &workspace.path("plan.json"),
        ],
    );
}

/// Perfect embeddings, noise, and those of a network: every episode and every number agree with numpy.
#[test]
fn numpy_comes_to_the_same_numbers_from_the_lists_of_episodes() {
    let (shared, workspace) = (small_dataset(), Workspace::new());
    let dataset = shared.path("dataset");
    for kind in ["perfect", "noise"] {
        let out = workspace.path(&format!("{kind}.safetensors"));
        check("plant_embeddings", &[&dataset, Path::new(kind), &out]);
    }
    let (data, config) = (dataset.display(), tiny_config());
    workspace.ok(
        "logodex-train",
        &format!(
            "fit --dataset {data} --split s --config {} --run tiny",
            config.display()
        ),
    );
    for fold in ["val", "test"] {
        workspace.ok(
            "logodex-train",
            &format!(
                "embed --dataset {data} --split s --run tiny --fold {fold} --out {fold}.safetensors"
            ),
        );
    }
    for (name, files) in [
        ("perfect", &["perfect"][..]),
        ("noise", &["noise"]),
        ("tiny", &["test", "val"]),
    ] {
        let files: Vec<PathBuf> = files
            .iter()
            .map(|file| workspace.path(&format!("{file}.safetensors")))
            .collect();
        let given: Vec<String> = files
            .iter()
            .map(|file| format!("--embeddings {}", file.display()))
            .collect();
        workspace.ok(
            "logodex-train",
            &format!(
                "evaluate --dataset {data} --split s {} --name {name} --out {name}",
                given.join(" ")
            ),
        );
        let out = workspace.path(name);
        let mut arguments = vec![dataset.as_path(), out.as_path()];
        arguments.extend(files.iter().map(PathBuf::as_path));
        let said = check("check_evaluation", &arguments);
        assert!(said.ends_with("numbers agree"), "{said}");
    }
    check(
        "validate_evaluation",
        &[&repository(), &workspace.path("tiny")],
    );
}

#[test]
#[ignore = "takes torch and torchvision in the tests' Python"]
fn the_examples_score_a_network_of_anyone() {
    let (shared, workspace) = (small_dataset(), Workspace::new());
    let dataset = shared.path("dataset");
    let python = |arguments: &[&str]| {
        let output = Command::new(interpreter())
            .arg("-B")
            .args(arguments)
            .current_dir(workspace.path(""))
            .output()
            .expect("Python starts");
        assert!(
            output.status.success(),
            "{arguments:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let script = |name: &str| {
        repository()
            .join("examples")
            .join(name)
            .display()
            .to_string()
    };
    let data = dataset.display().to_string();
    python(&[&script("score_torchvision.py"), &data, "s", "resnet18"]);
    python(&[
        "-c",
        "import torch; torch.jit.script(torch.nn.Sequential(torch.nn.AvgPool2d(14), torch.nn.Flatten(), torch.nn.Linear(768, 512))).save('encoder.pt')",
    ]);
    python(&[&script("score_clip.py"), &data, "s", "encoder.pt", "clip"]);
    for name in ["resnet18", "clip"] {
        let said = workspace.ok(
            "logodex-train",
            &format!(
                "evaluate --dataset {data} --split s --embeddings {name}.npy --rows {name}.rows.npy --out {name}"
            ),
        );
        assert!(said.contains("recall_at_1"), "{said}");
    }
}

#[test]
fn every_annotation_fits_the_xsd() {
    let xsd = repository().join("schemas/xsd/annotation.xsd");
    check("validate_xml", &[&xsd, &quirky().path("dataset")]);
}

#[test]
fn pycocotools_finds_the_boxes_of_the_annotations() {
    let (shared, workspace) = (quirky(), Workspace::new());
    for (out, split, folds) in [
        ("folds", "--split s", &["train", "val", "test"][..]),
        ("all", "", &["all"]),
    ] {
        workspace.ok(
            "logodex-data",
            &format!(
                "export {} --to coco --raw {} --out {out} {split}",
                shared.path("dataset").display(),
                shared.path("raw").display()
            ),
        );
        let (dataset, export) = (shared.path("dataset"), workspace.path(out));
        let mut arguments = vec![dataset.as_path(), export.as_path()];
        arguments.extend(folds.iter().map(Path::new));
        check("read_coco", &arguments);
    }
}

#[test]
fn mlcroissant_accepts_the_description() {
    check("read_croissant", &[&quirky().path("dataset")]);
}

#[test]
fn tensorboard_reads_a_run_that_was_killed_and_resumed() {
    let (dataset, workspace) = (small_dataset().path("dataset"), Workspace::new());
    // Ten steps an epoch, so that the monitor looks at some.
    let config = std::fs::read_to_string(tiny_config()).unwrap();
    workspace.write("fit.toml", &config.replace("batch = 32", "batch = 8"));
    let fit = format!(
        "fit --dataset {} --split s --config fit.toml --run run --resume-or-start",
        dataset.display()
    );
    let last = workspace.path("run/checkpoints/last");
    let mut train = binary("logodex-train");
    train
        .args(fit.split(' '))
        .current_dir(workspace.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    kill(&workspace.path("run"), &mut train, &|| last.exists());
    workspace.ok("logodex-train", &fit);
    check("read_run", &[&repository(), &workspace.path("run")]);
}
