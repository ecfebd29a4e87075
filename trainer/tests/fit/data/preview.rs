//! The sheet of what the network will see.

use std::fs;

use crate::support::{TINY, Workspace, run, train};

fn preview(w: &Workspace, config: &str, out: &str) -> (i32, String) {
    let config = w.config("preview.toml", config);
    let mut command = train();
    command.args(["preview", "--split", "s", "--epoch", "1", "--batches", "2"]);
    command.arg("--dataset").arg(&w.dataset);
    run(command
        .arg("--config")
        .arg(config)
        .arg("--out")
        .arg(w.path(out)))
}

/// Width and height of a PNG.
fn size(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("4 bytes"));
    (number(16), number(20))
}

#[test]
fn a_sheet_is_drawn_for_each_sampler_and_is_the_same_again() {
    let w = Workspace::small();
    let pairs = TINY.replace("kind = \"triplet\"\n", "kind = \"contrastive_euclidean\"\n");
    let softmax = TINY.replace(
        "kind = \"triplet\"\nmargin = 1.0",
        "kind = \"norm_softmax\"\ntemperature = 0.05",
    );
    let pk = softmax.replace("batch = 8", "batch = 8\nsampler = \"pk\"");
    let plain = TINY.replace("[augment]\n", "");
    let mut sheets = Vec::new();
    for (name, config) in [
        ("triplets.png", TINY),
        ("pairs.png", &pairs),
        ("images.png", &softmax),
        ("pk.png", &pk),
        ("plain.png", &plain),
    ] {
        let (code, stderr) = preview(&w, config, name);
        assert_eq!(code, 0, "{name}: {stderr}");
        let sheet = fs::read(w.path(name)).expect("sheet");
        let (width, height) = size(&sheet);
        assert!(width > 1000 && height > 1000, "{name}: {width} x {height}");
        assert!(!sheets.contains(&sheet), "{name} is like another");
        sheets.push(sheet);
    }
    let (code, _) = preview(&w, TINY, "again.png");
    assert_eq!(code, 0);
    assert!(fs::read(w.path("again.png")).expect("sheet") == sheets[0]);
}

#[test]
fn a_sheet_that_is_no_png_is_a_slip() {
    let w = Workspace::small();
    let (code, stderr) = preview(&w, TINY, "sheet.jpg");
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--out"), "{stderr}");
    assert!(!w.path("sheet.jpg").exists());
}
