//! What the recogniser shows a model is what the pipeline showed it, to the bit.

use std::collections::BTreeMap;
use std::path::Path;

use logodex_dataset::Dataset;
use logodex_recognizer::picture::squares;
use logodex_schemas::onnx::Preprocessing;
use serde_json::Value;

use crate::workspace::{Workspace, small_dataset};

/// How a dataset's rows were made, as an export would say it.
fn preprocessing(dataset: &Dataset) -> Preprocessing {
    let manifest = dataset.manifest();
    Preprocessing {
        side: manifest.config.side,
        fit: manifest.config.fit,
        region: manifest.config.region,
        context: manifest.config.context,
        encoding: manifest.encoding,
        jpeg_quality: manifest.config.jpeg_quality,
        decoder: manifest.decoder.clone(),
        resizer: manifest.resizer.clone(),
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}

/// The boxes of every image, by its raw path, in the order of its annotation.
fn boxes(coco: &Path) -> BTreeMap<String, Vec<[u32; 4]>> {
    let json: Value = serde_json::from_slice(&std::fs::read(coco).unwrap()).unwrap();
    let list = |key: &str| json[key].as_array().unwrap().clone();
    let paths: BTreeMap<u64, String> = list("images")
        .iter()
        .map(|image| {
            let path = image["raw_image"].as_str().unwrap().to_owned();
            (image["id"].as_u64().unwrap(), path)
        })
        .collect();
    let mut boxes = BTreeMap::<String, Vec<[u32; 4]>>::new();
    for instance in list("annotations") {
        let number = |at: usize| instance["bbox"][at].as_u64().unwrap() as u32;
        let [x, y, width, height] = [0, 1, 2, 3].map(number);
        let path = paths[&instance["image_id"].as_u64().unwrap()].clone();
        boxes
            .entry(path)
            .or_default()
            .push([x, y, x + width, y + height]);
    }
    boxes
}

#[test]
fn a_raw_picture_becomes_the_pixels_of_its_row_to_the_bit() {
    let raw = small_dataset().path("raw");
    let w = Workspace::new();
    for (name, config) in [
        (
            "objects",
            "side = 32\nregion = \"object\"\nfit = \"letterbox\"\n",
        ),
        (
            "both",
            "side = 40\nregion = \"both\"\nfit = \"squash\"\ncontext = 0.3\n",
        ),
        (
            "reduced",
            "side = 24\nregion = \"image\"\nfit = \"cover\"\n",
        ),
        (
            "jpeg",
            "side = 48\nregion = \"both\"\nencoding = \"jpeg\"\njpeg_quality = 80\n",
        ),
    ] {
        w.write(&format!("{name}.toml"), config);
        let raw = raw.display();
        w.ok(
            "logodex-data",
            &format!("build --raw {raw} --out {name} --config {name}.toml"),
        );
        w.ok(
            "logodex-data",
            &format!("export {name} --to coco --raw {raw} --out {name}_coco"),
        );
        let boxes = boxes(&w.path(&format!("{name}_coco/annotations/instances_all.json")));
        let dataset = Dataset::open(&w.path(name)).unwrap();
        let how = preprocessing(&dataset);
        let catalog = logodex_pipeline::build::parquet::read_catalog(
            &w.path(&format!("{name}/catalog.parquet")),
        )
        .unwrap();
        let root = small_dataset().path("raw");
        let root = match root.join(&catalog[0].raw_image).exists() {
            true => root,
            false => root.join("LogoDet-3K"),
        };
        let mut objects = 0;
        for row in catalog.iter().step_by(3) {
            let bytes = std::fs::read(root.join(&row.raw_image)).unwrap();
            let bbox = row.object.map(|at| boxes[&row.raw_image][at as usize]);
            objects += u32::from(bbox.is_some());
            let square = &squares(&bytes, &[bbox], &how).unwrap()[0];
            assert!(
                square.pixels == *dataset.pixels(row.row).unwrap(),
                "{name}: row {}",
                row.row
            );
            let crop = square.crop;
            assert_eq!(
                (crop.x, crop.y, crop.width, crop.height),
                (row.x, row.y, row.region_width, row.region_height)
            );
            assert_eq!(square.blake3.to_hex().as_str(), row.blake3);
        }
        assert_eq!(objects > 0, name != "reduced");
    }
}
