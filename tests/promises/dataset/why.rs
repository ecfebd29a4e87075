//! `why` tells every image's story, whatever became of it.

use logodex_pipeline::build::parquet::read_catalog;
use serde_json::Value;

use crate::workspace::Workspace;

/// A dataset of object crops with every quirk and defect, an image left out, a family kept apart, a brand renamed, and
/// an image whose only box is too small.
fn dataset() -> (Workspace, Value) {
    let workspace = Workspace::new();
    workspace.ok(
        "logodex-fixtures",
        "tree --out raw --brands 8 --images-per-brand 5 --seed 21 --quirks --defects",
    );
    workspace.write(
        "raw/LogoDet-3K/Clothes/76/0.xml",
        "<annotation><object><name>76</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>\
         </object></annotation>",
    );
    workspace.write(
        "overrides.toml",
        "drop = [{ path = 'Food/Lacta/1.jpg', reason = 'blurred' }, { path = 'Food/Krave', reason = 'no logo' }]\n\
         keep_apart = [{ category = 'Transportation', folders = ['lexus-1', 'lexus-2'], reason = 'two makers' }]\n\
         rename = [{ category = 'Medical', brand = '999', to = 'Nine', reason = 'full name' }]\n",
    );
    workspace.write("build.toml", "side = 32\nregion = \"object\"\n");
    workspace.ok(
        "logodex-data",
        "plan --raw raw --overrides overrides.toml --config build.toml --out plan.json",
    );
    workspace.ok(
        "logodex-data",
        "build --raw raw --plan plan.json --config build.toml --out dataset",
    );
    workspace.ok(
        "logodex-data",
        "split --dataset dataset --name s --seed 1 --allow-duplicates",
    );
    let truth = std::fs::read(workspace.path("raw/truth.json")).unwrap();
    (workspace, serde_json::from_slice(&truth).unwrap())
}

/// What `why` says; the question may hold spaces.
fn ask(workspace: &Workspace, question: &str) -> (i32, String) {
    let output = crate::workspace::binary("logodex-data")
        .args(["why", "dataset", question])
        .current_dir(workspace.path(""))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn every_fate_is_told() {
    let (workspace, truth) = dataset();
    let told = |question: &str, words: &[&str]| -> String {
        let (code, text) = ask(&workspace, question);
        assert_eq!(code, 0, "{question}: {text}");
        for word in words {
            assert!(text.contains(word), "{question}: no {word:?} in\n{text}");
        }
        text
    };
    let rows = read_catalog(&workspace.path("dataset/catalog.parquet")).unwrap();

    // Every row, asked for in five ways, is one story.
    for row in rows.iter().step_by(17) {
        let place = format!("{}, position {}", "safetensors", row.position);
        let number = format!("row {}:", row.row);
        let story = told(
            &row.raw_image,
            &[&row.blake3, &row.annotation, &number, &place, "split s: "],
        );
        let stem = row.raw_image.strip_suffix(".jpg").unwrap();
        for question in [
            stem.to_owned(),
            row.raw_annotation.clone(),
            format!("/data/LogoDet-3K/{}", row.raw_image),
            format!("row {}", row.row),
            row.annotation.clone(),
            format!("dataset/{}", row.annotation),
        ] {
            assert_eq!(told(&question, &[]), story, "{question}");
        }
    }

    // Copies lead to the image kept, and name their brand's folders.
    for brand in truth["brands"].as_array().unwrap() {
        for image in brand["images"].as_array().unwrap() {
            let kept = image["image"].as_str().unwrap();
            for copy in image["copies"].as_array().unwrap() {
                let copy = copy.as_str().unwrap();
                if !copy.contains("/lexus-") {
                    told(copy, &["dropped as a copy of", kept, "the same "]);
                }
            }
        }
    }
    told(
        "Clothes/alpinestars-2/0.jpg",
        &[
            "brand Clothes/alpinestars, a suffix family: alpinestars-1, alpinestars-2",
            "the same bytes",
        ],
    );
    told(
        "Transportation/lexus-2/1",
        &["looks the same as Transportation/lexus-1/1.jpg"],
    );

    // What was refused says why, whole or in part.
    for reject in truth["rejects"].as_array().unwrap() {
        let path = reject["path"].as_str().unwrap();
        let text = told(
            path,
            &["refused: ", path, reject["reason"].as_str().unwrap()],
        );
        let whole = reject.get("object").is_none_or(Value::is_null);
        // Of two files with one stem the other is kept.
        let twin = reject["reason"] == "duplicate_stem";
        assert!(!whole || twin || !text.contains("kept ->"), "{text}");
    }

    told("Food/Lacta/1.jpg", &["left out by the overrides: blurred"]);
    told(
        "Food/Krave/0.jpg",
        &["left out with its folder by the overrides: no logo"],
    );
    let small = told(
        "Clothes/76/0",
        &[
            "kept -> annotations/Clothes/76/0.xml",
            "it has no row",
            "less than 8 px",
        ],
    );
    assert_eq!(told("annotations/Clothes/76/0.xml", &[]), small);

    // Brands by canonical name and by folder; 76 is a brand before it is a row.
    let family = told(
        "alpinestars",
        &["a suffix family", "5 dropped as copies", "split s: "],
    );
    assert!(told("alpinestars-2", &["-> brand Clothes/alpinestars"]).ends_with(&family));
    told("76", &["brand Clothes/76: index", "ask for \"row 76\""]);
    told("Medical/999", &["-> brand Medical/Nine", "full name"]);
    told("Krave", &["no image of it is in the dataset", "no logo"]);
    told("Canon", &["nearly the same name: Necessities/Canson"]);
    told(
        "Food/lexus-1".replace("Food", "Transportation").as_str(),
        &["two makers"],
    );
}

#[test]
fn what_is_not_there_is_an_error_with_the_nearest_names() {
    let (workspace, _) = dataset();
    let unknown = |question: &str, near: &str| {
        let (code, text) = ask(&workspace, question);
        assert_eq!(code, 2, "{question}: {text}");
        assert!(text.starts_with("error"), "{text}");
        assert!(text.contains(near), "{question}: no {near:?} in {text}");
    };
    unknown("alpinestar", "alpinestars, ");
    unknown("Food/Lactoo", "Food/Lacto");
    unknown("Food/Lacto/77.jpg", "Food/Lacto/");
    unknown("Food/Lactoo/1.jpg", "Food/Lacto");
    unknown("row 99999999", "has the rows 0 to ");
    let (code, text) = {
        let output = workspace.run("logodex-data", "why raw 76");
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("is not a dataset"), "{text}");
}
