//! A run becomes one ONNX file that anyone's runtime computes with, that says how to use it, and that loses next to nothing in
//! fewer bits.

use std::path::Path;

use logodex_schemas::onnx::{ModelMetadata, Precision, read};
use serde_json::Value;

use crate::house::python_readers::check;
use crate::workspace::{Workspace, contents, repository, small_dataset, tiny_config};

fn metadata(workspace: &Workspace, file: &str) -> ModelMetadata {
    read(&std::fs::read(workspace.path(file)).unwrap()).unwrap()
}

/// MAP over test brands, as `logodex-eval` has it.
fn map(workspace: &Workspace, evaluation: &str) -> f64 {
    let path = workspace.path(evaluation).join("evaluation.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let is_map = |row: &&Value| {
        row["model"] == json["model"]
            && row["metric"] == "map"
            && row["protocol"] == "retrieval"
            && row["slice"] == "all"
    };
    let row = json["rows"].as_array().unwrap().iter().find(is_map);
    row.unwrap()["mean"].as_f64().unwrap()
}

#[test]
fn a_run_becomes_a_file_that_python_computes_with_and_that_the_evaluator_judges_alike() {
    let shared = small_dataset().path("dataset");
    let dataset = format!("--dataset {} --split s", shared.display());
    let w = Workspace::new();
    let config = tiny_config();
    let fit = format!("fit {dataset} --config {} --run run", config.display());
    w.ok("logodex-train", &fit);
    for fold in ["val", "test"] {
        let embed = format!("embed {dataset} --run run --fold {fold} --out {fold}.safetensors");
        w.ok("logodex-train", &embed);
    }
    w.ok(
        "logodex-train",
        &format!("evaluate {dataset} --run run --out run"),
    );
    let of_run: Value =
        serde_json::from_slice(&std::fs::read(w.path("run/evaluation.json")).unwrap()).unwrap();

    for (precision, lost) in [
        (Precision::Fp32, 1e-6),
        (Precision::Fp16, 0.002),
        (Precision::Int8, 0.02),
    ] {
        let name = precision.name();
        let file = format!("{name}.onnx");
        // The run knows where its data lie.
        let said = w.ok(
            "logodex-train",
            &format!("export --run run --out {file} --precision {name}"),
        );
        assert!(said.contains(name) && said.contains("strangers"), "{said}");

        let found = metadata(&w, &file);
        assert_eq!((found.precision, found.embedding_dim), (precision, 64));
        assert_eq!((found.run.as_str(), found.epochs_done), ("run", 3));
        assert_eq!(found.manifest_blake3, of_run["manifest_blake3"]);
        assert_eq!(found.preprocessing.side, 32);
        assert_eq!(found.history.trainings.len(), 1);
        assert!(!found.history.images.is_empty());
        assert_eq!(found.agreement.is_some(), precision != Precision::Fp32);
        let calibration = found.calibration.unwrap();
        assert_eq!(calibration.split_blake3, of_run["split_blake3"]);
        assert_eq!(
            calibration.brands.len() as u64,
            of_run["regions"][0]["val_brands"]
        );
        assert_eq!(calibration.seen_brands, [""; 0]);
        // The thresholds are those that the evaluator sets on the same brands.
        let mut compared = 0;
        for threshold in of_run["open_set_thresholds"].as_array().unwrap() {
            let same = |g: &&logodex_schemas::onnx::CalibratedGallery| {
                threshold["shots"] == g.shots && threshold["enrolled"] == g.enrolled
            };
            let gallery = calibration.galleries.iter().find(same).unwrap();
            let own = gallery
                .thresholds
                .iter()
                .find(|t| threshold["far"] == t.far);
            let apart = own.unwrap().similarity - threshold["similarity"].as_f64().unwrap();
            let near = if precision == Precision::Int8 {
                0.05
            } else {
                1e-3
            };
            assert!(apart.abs() < near, "{name}: {apart}");
            compared += 1;
        }
        assert!(compared > 0);

        let mut files = String::new();
        for fold in ["val", "test"] {
            let out = format!("{fold}_{name}.safetensors");
            let paths = [&file, &format!("{fold}.safetensors"), &out].map(|path| w.path(path));
            let [model, embeddings, written] = &paths;
            check(
                "read_onnx",
                &[&repository(), &shared, model, embeddings, written],
            );
            files += &format!(" --embeddings {out}");
        }
        let line =
            format!("evaluate {dataset}{files} --protocols retrieval --name {name} --out {name}");
        w.ok("logodex-eval", &line);
        let loss = map(&w, "run") - map(&w, name);
        assert!(loss.abs() < lost, "{name} loses {loss} of MAP");
    }
    let size = |file: &str| std::fs::metadata(w.path(file)).unwrap().len();
    assert!(size("fp16.onnx") * 19 < size("fp32.onnx") * 10);
    assert!(size("int8.onnx") * 36 < size("fp32.onnx") * 10);
    let fingerprints =
        ["fp32", "fp16", "int8"].map(|name| metadata(&w, &format!("{name}.onnx")).fingerprint);
    assert!(fingerprints[0] != fingerprints[1] && fingerprints[1] != fingerprints[2]);

    // The same run gives the same bytes; what is there is replaced only when asked.
    let told = w.fails(2, "logodex-train", "export --run run --out fp32.onnx");
    assert!(
        told.contains("fp32.onnx") && told.contains("--replace"),
        "{told}"
    );
    let before = std::fs::read(w.path("fp32.onnx")).unwrap();
    w.ok(
        "logodex-train",
        "export --run run --out fp32.onnx --replace",
    );
    assert!(std::fs::read(w.path("fp32.onnx")).unwrap() == before);
}

#[test]
fn what_cannot_be_exported_is_told_and_leaves_nothing() {
    const UNTRAINED: &str = "seed = 7\n[model]\narch = \"resnet18\"\nhead = \"linear\"\nembedding_dim = 16\n[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n[schedule]\nepochs = 0\n[runtime]\nthreads = 1\n";
    let w = Workspace::new();
    w.write("untrained.toml", UNTRAINED);
    for (path, bytes) in contents(&small_dataset().path("dataset")) {
        let to = w.path("dataset").join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    w.ok(
        "logodex-train",
        "fit --dataset dataset --split s --config untrained.toml --run run",
    );
    let export = |code: i32, rest: &str| {
        let told = w.fails(
            code,
            "logodex-train",
            &format!("export --out m.onnx {rest}"),
        );
        assert!(!w.path("m.onnx").exists());
        told
    };
    let told = export(2, "--run nowhere");
    assert!(
        told.contains("nowhere") && told.contains("not a run"),
        "{told}"
    );
    let told = export(2, "--run run --precision fp8");
    assert!(told.contains("fp32, fp16 or int8"), "{told}");
    let told = export(2, "--run run --checkpoint best");
    assert!(told.contains("no such checkpoint"), "{told}");

    // Data that moved are found when they are named, and others are refused.
    std::fs::rename(w.path("dataset"), w.path("moved")).unwrap();
    let told = export(2, "--run run");
    assert!(
        told.contains("not there any more") && told.contains("--dataset"),
        "{told}"
    );
    w.ok(
        "logodex-train",
        "export --run run --out moved.onnx --dataset moved",
    );
    w.ok(
        "logodex-data",
        "split --dataset moved --name other --seed 9",
    );
    let told = export(2, "--run run --dataset moved --split other");
    assert!(told.contains("another split"), "{told}");
    std::fs::remove_file(w.path("run/dataset.json")).unwrap();
    let told = export(2, "--run run --dataset moved");
    assert!(told.contains("--dataset and --split"), "{told}");

    // Weights that are damaged.
    let weights = w.path("run/checkpoints/last/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let told = export(1, "--run run --dataset moved --split s");
    assert!(told.contains("model.safetensors"), "{told}");
    std::fs::remove_file(&weights).unwrap();
    let told = export(1, "--run run --dataset moved --split s");
    assert!(told.contains("model.safetensors"), "{told}");
    assert!(Path::new(&w.path("moved.onnx")).exists());
}
