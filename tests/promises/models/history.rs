//! What weights were trained on goes with their file, and nobody is judged on a brand that was seen without a word: also not
//! in another build, under another name, through several trainings, or where the file alone was copied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::workspace::{Workspace, contents, small_dataset};

const EPOCH: &str = "seed = 3\n[model]\narch = \"resnet18\"\nhead = \"linear\"\nembedding_dim = 16\n[loss]\nkind = \"contrastive_cosine\"\nmargin = 0.2\n[schedule]\nepochs = 1\n[data]\nbatch = 32\n[runtime]\nthreads = 1\n";
const RENAMED: &str = "a name of its own";

/// Fold → brands of a split, by name.
fn folds(split: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(split).unwrap();
    let mut folds = BTreeMap::<String, BTreeSet<String>>::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').map(|f| f.trim_matches('"')).collect();
        let (brand, fold) = (fields[2].to_owned(), fields[3].to_owned());
        folds.entry(fold).or_default().insert(brand);
    }
    folds
}

/// The folder `<Category>/<brand>` of a tree in which a brand lies.
fn folder_of(tree: &Path, brand: &str) -> std::path::PathBuf {
    let found = contents(tree)
        .into_keys()
        .find(|path| path.split('/').rev().nth(1) == Some(brand));
    tree.join(found.expect(brand)).parent().unwrap().to_owned()
}

/// `trained_on` of an evaluation.
fn trained_on(workspace: &Workspace, evaluation: &str) -> Value {
    let path = workspace.path(evaluation).join("evaluation.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    json["trained_on"].clone()
}

fn names(of: &Value) -> BTreeSet<String> {
    let list = of.as_array().unwrap().iter();
    list.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn brands_that_were_seen_are_refused_or_named_wherever_the_weights_go() {
    let first = small_dataset();
    let first_dataset = format!("--dataset {} --split s", first.path("dataset").display());
    let w = Workspace::new();

    // Another build: other pictures of another size, a brand trained on under another name, and in a brand that was not
    // trained on an image of one that was.
    for (path, bytes) in contents(&first.path("raw")) {
        let to = w.path("raw").join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    let build = |seed: u32| {
        let _ = std::fs::remove_dir_all(w.path("other"));
        w.ok(
            "logodex-data",
            "build --raw raw --out other --config other.toml",
        );
        w.ok(
            "logodex-data",
            &format!("split --dataset other --name t --seed {seed} --test 0.3 --val 0.3"),
        );
        folds(&w.path("other/splits/t.csv"))
    };
    w.write("other.toml", "side = 16\nregion = \"both\"\n");
    let in_first = folds(&first.path("dataset/splits/s.csv"));
    let old_name = in_first["train"].iter().next().unwrap().clone();
    let folder = folder_of(&w.path("raw"), &old_name);
    std::fs::rename(&folder, folder.with_file_name(RENAMED)).unwrap();
    let seed = (2..)
        .find(|seed| build(*seed)["test"].contains(RENAMED))
        .unwrap();
    let before = folds(&w.path("other/splits/t.csv"));
    let is_new = |brand: &&String| !in_first["train"].contains(*brand) && *brand != RENAMED;
    let mixed = before["test"].iter().find(is_new).unwrap().clone();
    let (giver, taker) = (
        folder_of(&w.path("raw"), RENAMED),
        folder_of(&w.path("raw"), &mixed),
    );
    let image = contents(&giver)
        .into_keys()
        .find(|name| name.ends_with(".jpg"));
    let stem = image.unwrap().trim_end_matches(".jpg").to_owned();
    for end in ["jpg", "xml"] {
        let from = giver.join(format!("{stem}.{end}"));
        std::fs::rename(from, taker.join(format!("moved.{end}"))).unwrap();
    }
    let in_other = build(seed);
    assert_eq!(before, in_other);
    let seen = |fold: &str| -> BTreeSet<String> {
        let was = |brand: &&String| {
            in_first["train"].contains(*brand) || *brand == RENAMED || **brand == mixed
        };
        in_other[fold].iter().filter(was).cloned().collect()
    };
    assert!(seen("test").len() > 1 && seen("test").len() < in_other["test"].len());

    // A run is judged on the other build: told where it is judged, the same by its embeddings alone.
    w.write("first.toml", EPOCH);
    w.ok(
        "logodex-train",
        &format!("fit {first_dataset} --config first.toml --run first"),
    );
    let own = w.ok(
        "logodex-train",
        &format!("evaluate {first_dataset} --run first --out own"),
    );
    assert!(!own.contains("were trained on"), "{own}");
    let clean = trained_on(&w, "own");
    assert_eq!(names(&clean["test_brands"]), BTreeSet::new());
    assert_eq!(clean["unknown"], serde_json::json!([]));
    assert_eq!(clean["trainings"][0]["brands"], in_first["train"].len());

    let other = "--dataset other --split t";
    let told = w.ok(
        "logodex-train",
        &format!("evaluate {other} --run first --out elsewhere"),
    );
    let n = format!(
        "{} of {} test brands were trained on",
        seen("test").len(),
        in_other["test"].len()
    );
    assert!(told.contains(&n), "{told}");
    let found = trained_on(&w, "elsewhere");
    assert_eq!(names(&found["test_brands"]), seen("test"));
    assert_eq!(names(&found["val_brands"]), seen("val"));
    let embedded = w.run(
        "logodex-train",
        &format!("embed {other} --run first --fold test --out test.safetensors"),
    );
    assert!(String::from_utf8_lossy(&embedded.stderr).contains(&n));
    w.ok(
        "logodex-eval",
        &format!("evaluate {other} --embeddings test.safetensors --out by_file"),
    );
    assert_eq!(trained_on(&w, "by_file"), found);

    let n_rows = |file: &str| {
        let bytes = std::fs::read(w.path(file)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor("row").unwrap().shape()[0]
    };
    for region in ["image", "object"] {
        w.ok(
            "logodex-train",
            &format!(
                "embed {other} --run first --fold test --region {region} --out {region}.safetensors"
            ),
        );
    }
    let (images, objects) = (n_rows("image.safetensors"), n_rows("object.safetensors"));
    assert!(images > 0 && objects > 0 && images + objects == n_rows("test.safetensors"));

    // The weight file alone, copied: refused for that split, unless the configuration says otherwise.
    std::fs::copy(
        w.path("first/checkpoints/last/model.safetensors"),
        w.path("a.safetensors"),
    )
    .unwrap();
    let begun = |weights: &str, epochs: u32, allow: bool| {
        let with = format!("[model]\nweights = \"{weights}\"\nallow_seen_brands = {allow}\n");
        let text = EPOCH.replace("[model]\n", &with);
        w.write(
            "begun.toml",
            &text.replace("epochs = 1", &format!("epochs = {epochs}")),
        );
    };
    begun("a.safetensors", 1, false);
    let refusal = w.fails(
        2,
        "logodex-train",
        &format!("fit {other} --config begun.toml --run second"),
    );
    for said in ["a.safetensors", RENAMED, &mixed, "model.allow_seen_brands"] {
        assert!(refusal.contains(said), "{said}: {refusal}");
    }
    assert!(!w.path("second").exists());
    begun("a.safetensors", 1, true);
    w.ok(
        "logodex-train",
        &format!("fit {other} --config begun.toml --run second"),
    );
    w.ok(
        "logodex-train",
        &format!("evaluate {other} --run second --out second"),
    );
    let second = trained_on(&w, "second");
    assert_eq!(names(&second["test_brands"]), seen("test"));
    assert_eq!(second["trainings"].as_array().unwrap().len(), 2);
    w.ok("logodex-train", "report --out report second");
    let page = std::fs::read_to_string(w.path("report/report.md")).unwrap();
    assert!(page.contains("`second` was trained on"), "{page}");

    // Through several trainings: what the second run learnt counts for a third, back on the first build.
    std::fs::copy(
        w.path("second/checkpoints/last/model.safetensors"),
        w.path("b.safetensors"),
    )
    .unwrap();
    begun("b.safetensors", 0, false);
    let refusal = w.fails(
        2,
        "logodex-train",
        &format!("fit {first_dataset} --config begun.toml --run third"),
    );
    let learnt: Vec<&String> = in_other["train"].intersection(&in_first["test"]).collect();
    assert!(!learnt.is_empty());
    for brand in learnt {
        assert!(refusal.contains(brand.as_str()), "{brand}: {refusal}");
    }

    // Weights that carry nothing are of unknown history, and that is said.
    let bytes = std::fs::read(w.path("a.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let stripped = safetensors::serialize(tensors, None).unwrap();
    std::fs::write(w.path("stripped.safetensors"), stripped).unwrap();
    begun("stripped.safetensors", 0, false);
    let fit = w.run(
        "logodex-train",
        &format!("fit {other} --config begun.toml --run unknown"),
    );
    let told = String::from_utf8_lossy(&fit.stderr);
    assert!(fit.status.success(), "{told}");
    assert!(
        told.contains("weights: stripped.safetensors, a file of unknown origin"),
        "{told}"
    );
    w.ok(
        "logodex-train",
        &format!("evaluate {other} --run unknown --out unknown"),
    );
    let unknown = trained_on(&w, "unknown");
    assert!(
        unknown["unknown"][0]
            .as_str()
            .unwrap()
            .starts_with("stripped.safetensors (BLAKE3 "),
        "{unknown}"
    );
    w.ok("logodex-train", "report --out report unknown");
    let page = std::fs::read_to_string(w.path("report/report.html")).unwrap();
    assert!(page.contains("Of unknown history: stripped.safetensors"));
}
