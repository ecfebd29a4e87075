//! What an evaluation leaves on disk.

use logodex_evaluation::write::{Picture, write_outcome};

use crate::few_shot::{run, set, settings};

#[test]
fn examples_show_six_brands_and_lie_on_disk_beside_the_numbers() {
    let outcome = run(&set(0, 20, 8, 0.6), Some(&set(20, 12, 8, 0.6)), &settings()).unwrap();
    let examples = &outcome.evaluation.examples;
    let mut brands: Vec<&str> = examples.iter().map(|e| e.query.brand.as_str()).collect();
    brands.sort_unstable();
    brands.dedup();
    assert_eq!(brands.len(), 6);
    for example in examples {
        assert_eq!(example.query.brand, example.positive.brand);
        assert_ne!(example.query.brand, example.negative.brand);
        assert_ne!(example.query.row, example.positive.row);
        assert_eq!(
            example.query.brand,
            format!("brand {}", example.query.row / 8)
        );
    }

    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("evaluation");
    let picture = |row: u64| {
        Ok(Picture {
            side_px: 4,
            rgb: vec![row as u8; 48],
        })
    };
    write_outcome(&out, &outcome, &picture).unwrap();
    let csv = std::fs::read_to_string(out.join("evaluation.csv")).unwrap();
    assert!(
        csv.starts_with("model,protocol,shots,metric,mean,ci_low,ci_high,region,slice,brands\nmodel,paper,1,accuracy,"),
        "{csv}"
    );
    let read: logodex_schemas::evaluation::Evaluation =
        serde_json::from_slice(&std::fs::read(out.join("evaluation.json")).unwrap()).unwrap();
    assert_eq!(read.examples.len(), 6);
    assert_eq!(read.histograms, outcome.evaluation.histograms);
    for (read, row) in read.rows.iter().zip(&outcome.evaluation.rows) {
        assert_eq!((&read.model, &read.metric), (&row.model, &row.metric));
        assert!((read.mean - row.mean).abs() < 1e-12);
    }
    let episodes: Vec<_> = csv::Reader::from_path(out.join("episodes.csv"))
        .unwrap()
        .into_deserialize()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(outcome.episodes, episodes);
    let shown = &examples[2].negative;
    let png = image::open(out.join(&shown.picture)).unwrap().to_rgb8();
    assert_eq!(
        (png.width(), png.get_pixel(0, 0).0[0]),
        (4, shown.row as u8)
    );
    let lies = |_: u64| {
        Ok(Picture {
            side_px: 4,
            rgb: vec![0; 47],
        })
    };
    assert!(
        format!("{:#}", write_outcome(&out, &outcome, &lies).unwrap_err()).contains("47 bytes")
    );
    assert!(
        out.join("evaluation.json").is_file(),
        "what was there stays where the next one fails"
    );
}
