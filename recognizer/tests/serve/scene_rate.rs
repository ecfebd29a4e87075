//! How many scenes without an enrolled brand are taken for showing one, by `identify --tiles`, and what is told of that.

use jpeg_encoder::{ColorType, Encoder};
use serde_json::Value;

use crate::model::pixels;
use crate::room::Room;
use crate::scenes::prepared;

/// Scenes to calibrate with, and others to ask about.
const CALIBRATED: u64 = 200;
const ASKED: u64 = 400;
const RATE: f64 = 0.05;

/// Pictures of patches of nobody in a folder, `wide` squares of 96 pixels beside each other.
fn scenes(room: &Room, folder: &str, seeds: std::ops::Range<u64>, wide: u64) {
    std::fs::create_dir(room.dir.path().join(folder)).unwrap();
    for seed in seeds {
        let squares: Vec<Vec<u8>> = (0..wide).map(|i| pixels(seed * 7 + i, 0, 96)).collect();
        let row = |y: usize| squares.iter().flat_map(move |s| &s[y * 96 * 3..][..96 * 3]);
        let rgb: Vec<u8> = (0..96).flat_map(row).copied().collect();
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 92)
            .encode(&rgb, 96 * wide as u16, 96, ColorType::Rgb)
            .unwrap();
        room.write(&format!("{folder}/{seed}.jpg"), &jpeg);
    }
}

/// Lines, and what was said beside them.
fn run(room: &Room, arguments: &[&str]) -> (String, String) {
    let output = room.logodex(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, told) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {told}");
    (out, told)
}

fn identify(room: &Room, more: &[&str]) -> (Vec<Value>, String) {
    let fixed = ["identify", "--gallery", "gallery", "--json"];
    let (out, told) = run(room, &[&fixed[..], more].concat());
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), told)
}

/// The share of lines that name somebody.
fn named(lines: &[Value]) -> f64 {
    let known = lines.iter().filter(|line| line["verdict"] == "known");
    known.count() as f64 / lines.len() as f64
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn the_rate_that_is_told_is_that_of_scenes() {
    let (room, _) = prepared();
    scenes(&room, "strangers", 10_000..10_400, 1);
    scenes(&room, "calibrate", 20_000..20_000 + CALIBRATED, 1);
    scenes(&room, "ask", 30_000..30_000 + ASKED, 1);
    scenes(&room, "large", 40_000..40_001, 2);
    let far = RATE.to_string();
    let tiles = ["--tiles", "--far", &far];

    // By single strangers: what suits one of them is reached by many scenes, each of which has so many windows.
    run(&room, &["calibrate", "--gallery", "gallery", "strangers"]);
    let (single, _) = identify(&room, &["--far", &far, "ask"]);
    assert!(named(&single) < 0.11, "{}", named(&single));
    let naive = number(&single[0], "threshold").to_string();
    let (lines, _) = identify(&room, &["--tiles", "--threshold", &naive, "ask"]);
    assert!(named(&lines) > 0.3, "{}", named(&lines));
    assert!(lines[0]["false_accept_rate"].is_null());
    // So each window counts as one of them, which is said, with the rate that the threshold stands for.
    let (lines, told) = identify(&room, &[&tiles[..], &["ask"]].concat());
    assert!(
        told.contains("each window counts as a stranger's logo")
            && told.contains("calibrate --gallery gallery --tiles"),
        "{told}"
    );
    assert!(
        told.contains("cannot tell a false-accept rate of 0.05"),
        "{told}"
    );
    let stands_for = number(&lines[0], "false_accept_rate");
    assert!(stands_for > RATE && named(&lines) < stands_for, "{told}");

    // By scenes.
    let calibrate = ["calibrate", "--gallery", "gallery", "--tiles"];
    let (said, _) = run(&room, &[&calibrate[..], &["calibrate"]].concat());
    assert!(
        said.contains("scenes named") && said.contains("200 scenes without enrolled brands"),
        "{said}"
    );
    let (lines, told) = identify(&room, &[&tiles[..], &["ask"]].concat());
    assert_eq!(told, "");
    let stands_for = number(&lines[0], "false_accept_rate");
    assert!(stands_for <= RATE && stands_for > 0.8 * RATE);
    let seen = named(&lines);
    assert!((0.01..0.11).contains(&seen), "{seen}, told {stands_for}");
    // Single pictures are judged as before.
    assert_eq!(identify(&room, &["--far", &far, "ask"]).0, single);
    // A scene of more windows has more chances, and so a higher threshold.
    let (large, _) = identify(&room, &[&tiles[..], &["large"]].concat());
    assert!(number(&large[0], "looked_at") > number(&lines[0], "looked_at"));
    assert!(number(&large[0], "threshold") > number(&lines[0], "threshold"));
    assert!(number(&large[0], "false_accept_rate") <= RATE);

    // As a table, which says the rate and the threshold.
    let table = ["identify", "--gallery", "gallery"];
    let (said, _) = run(&room, &[&table[..], &tiles, &["large"]].concat());
    let threshold = format!("named from {:.3} on", number(&large[0], "threshold"));
    assert!(
        said.contains(&threshold)
            && said.contains(
                "of scenes without them for showing one (asked for: 5.0 %; by 200 scenes"
            ),
        "{said}"
    );
    // Other windows are other chances.
    let (_, told) = identify(
        &room,
        &[&tiles[..], &["--tile-step", "0.25", "large"]].concat(),
    );
    assert!(told.contains("with scenes through other windows"), "{told}");
    // An enrolled picture is no scene of strangers; nothing but such is refused.
    let output = room
        .logodex(&[&calibrate[..], &["1.jpg"]].concat())
        .output();
    let output = output.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2)
            && told.contains("1.jpg: it is enrolled")
            && told.contains("no scene without an enrolled brand"),
        "{told}"
    );
    run(&room, &["calibrate", "--gallery", "gallery", "--forget"]);
    let output = room.logodex(&[&table[..], &tiles, &["large"]].concat());
    let output = { output }.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && told.contains("with --tiles for scenes"),
        "{told}"
    );
}
