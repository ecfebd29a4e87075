//! From a run to a named logo: the whole line from `logodex-train export` to `logodex identify`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::workspace::{Workspace, small_dataset, tiny_config};

/// A run of the small dataset, exported; its test brands' pictures, as lists with boxes.
pub(super) fn exported() -> &'static Workspace {
    static SHARED: OnceLock<Workspace> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (data, w) = (small_dataset(), Workspace::new());
        let dataset = data.path("dataset");
        let (dataset, raw) = (dataset.display(), data.path("raw"));
        w.ok(
            "logodex-train",
            &format!(
                "fit --dataset {dataset} --split s --config {} --run run",
                tiny_config().display()
            ),
        );
        w.ok("logodex-train", "export --run run --out model.onnx");
        w.ok(
            "logodex-train",
            "export --run run --out other.onnx --precision fp16",
        );
        w.ok(
            "logodex-data",
            &format!(
                "export {dataset} --to coco --split s --raw {} --out coco",
                raw.display()
            ),
        );
        w
    })
}

/// A line of a list.
#[derive(Debug, Clone)]
pub(super) struct Logo {
    pub(super) file: String,
    pub(super) bbox: [u32; 4],
    pub(super) brand: String,
}

/// The first logo of every image of a fold.
pub(super) fn logos(w: &Workspace, fold: &str) -> Vec<Logo> {
    let path = w.path(&format!("coco/annotations/instances_{fold}.json"));
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let list = |key: &str| json[key].as_array().unwrap().clone();
    let brands: BTreeMap<u64, String> = list("categories")
        .iter()
        .map(|c| {
            (
                c["id"].as_u64().unwrap(),
                c["name"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    list("annotations")
        .iter()
        .filter(|instance| seen.insert(instance["image_id"].as_u64().unwrap()))
        .map(|instance| {
            let number = |at: usize| instance["bbox"][at].as_u64().unwrap() as u32;
            let [x, y, width, height] = [0, 1, 2, 3].map(number);
            Logo {
                file: format!(
                    "coco/images/{:012}.jpg",
                    instance["image_id"].as_u64().unwrap() - 1
                ),
                bbox: [x, y, x + width, y + height],
                brand: brands[&instance["category_id"].as_u64().unwrap()].clone(),
            }
        })
        .collect()
}

/// Writes a list beside the folder that its files are named from.
pub(super) fn write_list(w: &Workspace, name: &str, logos: &[Logo]) {
    let mut text = "file,x0,y0,x1,y1,brand\n".to_owned();
    for Logo { file, bbox, brand } in logos {
        let [x0, y0, x1, y1] = bbox;
        text += &format!("{file},{x0},{y0},{x1},{y1},\"{brand}\"\n");
    }
    w.write(name, &text);
}

pub(super) fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn embeddings_of_pictures_are_those_of_their_rows() {
    let (w, data) = (exported(), small_dataset());
    let dataset = format!(
        "--dataset {} --split s --fold test",
        data.path("dataset").display()
    );
    w.ok(
        "logodex",
        &format!("embed --model model.onnx {dataset} --out rows.npy"),
    );
    w.ok(
        "logodex",
        &format!("embed --model model.onnx {dataset} --out rows.safetensors"),
    );
    // Every object of the test brands in row order: by brand, then by image, then as annotated.
    let json = std::fs::read(w.path("coco/annotations/instances_test.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let all: Vec<Logo> = json["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|instance| {
            let number = |at: usize| instance["bbox"][at].as_u64().unwrap() as u32;
            let [x, y, width, height] = [0, 1, 2, 3].map(number);
            Logo {
                file: format!(
                    "coco/images/{:012}.jpg",
                    instance["image_id"].as_u64().unwrap() - 1
                ),
                bbox: [x, y, x + width, y + height],
                brand: String::new(),
            }
        })
        .collect();
    write_list(w, "all.csv", &all);
    w.ok(
        "logodex",
        "embed --model model.onnx --list all.csv --out pictures.npy",
    );
    let read = |name: &str| std::fs::read(w.path(name)).unwrap();
    assert!(
        read("pictures.npy") == read("rows.npy"),
        "{} pictures",
        all.len()
    );
    let listed = std::fs::read_to_string(w.path("pictures.csv")).unwrap();
    assert_eq!(listed.lines().count(), all.len() + 1);
    // The evaluator takes them, with what the model was trained on.
    let evaluate = format!(
        "evaluate --dataset {} --split s --embeddings rows.safetensors --out judged",
        data.path("dataset").display()
    );
    w.ok("logodex-eval", &evaluate);
    let json: Value = serde_json::from_slice(&read("judged/evaluation.json")).unwrap();
    let trainings = &json["trained_on"]["trainings"];
    assert_eq!(trainings.as_array().map(Vec::len), Some(1), "{trainings}");
}

#[test]
fn from_a_run_to_an_identified_logo_and_to_an_unknown_one() {
    let w = exported();
    let mut by_brand = BTreeMap::<String, Vec<Logo>>::new();
    for logo in logos(w, "test") {
        by_brand.entry(logo.brand.clone()).or_default().push(logo);
    }
    let mut brands = by_brand.into_values();
    let enrolled: Vec<Logo> = brands
        .by_ref()
        .take(4)
        .map(|logos| logos[0].clone())
        .collect();
    let strangers: Vec<Logo> = brands.map(|logos| logos[0].clone()).collect();
    assert!(strangers.len() >= 2);
    write_list(w, "enrol.csv", &enrolled);
    write_list(w, "ask.csv", &[&enrolled[..], &strangers[..]].concat());

    let told = w.fails(2, "logodex", "list --gallery gallery");
    assert!(
        told.contains("logodex enrol --gallery gallery --model"),
        "{told}"
    );
    let said = w.ok(
        "logodex",
        "enrol --gallery gallery --model model.onnx --list enrol.csv --json",
    );
    assert_eq!(lines(&said).len(), 4);
    let said = w.ok("logodex", "list --gallery gallery --json");
    let names: Vec<String> = lines(&said)
        .iter()
        .map(|line| line["brand"].as_str().unwrap().to_owned())
        .collect();
    let mut expected: Vec<&str> = enrolled.iter().map(|logo| logo.brand.as_str()).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);

    // Without --model: the gallery keeps its own. What was enrolled is known, whatever the model is worth.
    let said = w.ok(
        "logodex",
        "identify --gallery gallery --json --list ask.csv --threshold 0.9999",
    );
    let answers = lines(&said);
    assert_eq!(answers.len(), enrolled.len() + strangers.len());
    for (answer, logo) in answers.iter().zip(&enrolled) {
        assert_eq!(answer["verdict"], "known", "{answer}");
        assert_eq!(answer["brand"].as_str(), Some(logo.brand.as_str()));
        assert!(answer["similarity"].as_f64().unwrap() > 0.9999);
        assert_eq!(answer["top"][0]["brand"], answer["brand"]);
    }
    for answer in &answers[enrolled.len()..] {
        assert_eq!(
            (&answer["verdict"], &answer["brand"]),
            (&"unknown".into(), &Value::Null)
        );
        assert_eq!(answer["top"].as_array().unwrap().len(), 4);
        let similarities: Vec<f64> = answer["top"]
            .as_array()
            .unwrap()
            .iter()
            .map(|candidate| candidate["similarity"].as_f64().unwrap())
            .collect();
        assert!(similarities.is_sorted_by(|a, b| a >= b));
        assert_eq!(answer["threshold"], 0.9999);
    }

    // By the model's calibration, then by the gallery's own.
    let said = w.ok(
        "logodex",
        "identify --gallery gallery --json --list ask.csv --far 0.2",
    );
    let by_model = lines(&said)[0].clone();
    assert!(
        by_model["false_accept_rate"].as_f64().unwrap() > 0.0,
        "{by_model}"
    );
    let said = w.ok("logodex", "calibrate --gallery gallery");
    assert!(
        said.contains("4 pictures of strangers of 4 brands, each compared with 3 brands"),
        "{said}"
    );
    let dataset = small_dataset().path("dataset");
    let said = w.ok(
        "logodex",
        &format!(
            "calibrate --gallery gallery --dataset {} --split s",
            dataset.display()
        ),
    );
    assert!(said.contains("each compared with 4 brands"), "{said}");
    let said = w.ok(
        "logodex",
        "identify --gallery gallery --list ask.csv --far 0.2 --show sheet.html",
    );
    assert!(
        said.contains("of strangers for an enrolled brand"),
        "{said}"
    );
    let page = std::fs::read_to_string(w.path("sheet.html")).unwrap();
    assert!(page.matches("data:image/jpeg;base64,").count() > answers.len());

    // What cannot be read is told, and the others are judged.
    w.write("broken.jpg", "no picture");
    let output = w.run(
        "logodex",
        &format!(
            "identify --gallery gallery --json broken.jpg {} gone.png",
            enrolled[0].file
        ),
    );
    assert_eq!(output.status.code(), Some(1));
    let answers = lines(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(answers.len(), 3);
    assert!(answers[0]["error"].is_string() && answers[2]["error"].is_string());
    assert!(answers[1]["verdict"].is_string());

    // The same picture again, under another name.
    let again = format!("enrol --gallery gallery --brand again {}", enrolled[0].file);
    w.ok("logodex", &again);
    let told = w.fails(1, "logodex", &again);
    assert!(told.contains("is enrolled already"), "{told}");
    let said = w.ok(
        "logodex",
        &format!("verify --gallery gallery --json {0} {0}", enrolled[0].file),
    );
    assert_eq!(lines(&said)[0]["same"], true, "{said}");

    // To Parquet and back; and to another model, which is refused until the gallery is embedded again.
    w.ok("logodex", "export --gallery gallery --out gallery.parquet");
    w.ok(
        "logodex",
        "import --gallery copy --model model.onnx --parquet gallery.parquet --duplicates",
    );
    let list = |gallery: &str| w.ok("logodex", &format!("list --gallery {gallery} --json"));
    assert_eq!(list("copy"), list("gallery"));
    let told = w.fails(
        2,
        "logodex",
        "identify --gallery copy --model other.onnx broken.jpg",
    );
    assert!(
        told.contains("logodex reembed --gallery copy --model"),
        "{told}"
    );
    w.ok("logodex", "reembed --gallery copy --model other.onnx");
    let said = w.ok(
        "logodex",
        "identify --gallery copy --json --list enrol.csv --threshold 0.999",
    );
    assert!(
        lines(&said)
            .iter()
            .all(|answer| answer["verdict"] == "known"),
        "{said}"
    );
    let told = w.fails(
        2,
        "logodex",
        "import --gallery copy --model other.onnx --parquet gallery.parquet",
    );
    assert!(told.contains("another model"), "{told}");
}
