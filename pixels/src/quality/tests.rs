//! The numbers against numpy's and Pillow's (`tests/golden/quality.py`), and what planted pictures come to.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::decode::{decode, look, look_closely};
use crate::picture::Format;

/// A line of `quality.csv`.
#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    brightness_5: f32,
    brightness_99: f32,
    entropy: f32,
    edges: f32,
    tones: f32,
    color: f32,
}

fn file(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(folder.join(path)).expect(path)
}

fn goldens() -> Vec<Golden> {
    let bytes = file("quality.csv");
    let rows = csv::Reader::from_reader(bytes.as_slice()).into_deserialize();
    let rows: Vec<Golden> = rows.map(|row| row.expect("a line")).collect();
    assert_eq!(rows.len(), 19);
    rows
}

fn measured(name: &str) -> Quality {
    let seen = look_closely(&file(&format!("quality/{name}"))).expect(name);
    seen.quality.expect("it was asked for")
}

#[test]
fn the_numbers_are_those_of_numpy_and_pillow() {
    let mut wrong: Vec<String> = Vec::new();
    for golden in goldens() {
        let (found, name) = (measured(&golden.name), &golden.name);
        // Of a large JPEG chroma is that of the coefficients, not interpolated between them.
        let by_coefficients =
            name.ends_with("jpg") && !["small", "sharp_cmyk"].iter().any(|n| name.starts_with(n));
        let [brightness, entropy, edges, tones, color] = match by_coefficients {
            true => [0.012, 0.35, 1.0, 3.0, 12.0],
            false => [0.004, 0.0002, 0.3, 0.5, 0.0],
        };
        // A strip of six rows fills no block, and black is told from nearly black in coarse steps.
        let color = if name == "strip.jpg" { 40.0 } else { color };
        let black = |value: f32| if value < 0.02 { 0.015 } else { brightness };
        let mut near = |what: &str, ours: f32, theirs: f32, by: f32| {
            if (ours - theirs).abs() > by {
                wrong.push(format!("{name}, {what}: {ours}, not {theirs}"));
            }
        };
        near(
            "brightness",
            found.brightness_5,
            golden.brightness_5,
            black(golden.brightness_5),
        );
        near(
            "brightness",
            found.brightness_99,
            golden.brightness_99,
            brightness,
        );
        near("entropy", found.entropy, golden.entropy, entropy);
        near("edges", found.edges, golden.edges, edges);
        near("tones", found.tones, golden.tones, tones);
        near("color", f32::from(found.color), golden.color, color);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_planted_is_far_from_what_is_sound() {
    let all: BTreeMap<String, Quality> = goldens()
        .into_iter()
        .map(|golden| (golden.name.clone(), measured(&golden.name)))
        .collect();
    let with = |is: &dyn Fn(&Quality) -> bool| {
        let found = all.iter().filter(|(_, quality)| is(quality));
        found.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        with(&|q| q.brightness_99 < 0.32),
        ["dark.jpg", "small_dark.jpg"]
    );
    assert_eq!(with(&|q| q.brightness_5 > 0.95), ["light.jpg"]);
    assert_eq!(with(&|q| q.entropy < 3.0), ["flat.jpg"]);
    let strips = ["blurry.jpg", "light.jpg", "strip.jpg", "tiny.png"];
    assert_eq!(
        with(&|q| q.edges < 22.0 && q.tones < 120.0 && q.brightness_99 > 0.32),
        strips
    );
    let grey = [
        "grey.jpg",
        "grey_in_color.jpg",
        "light.jpg",
        "small_grey.jpg",
        "tiny.png",
    ];
    assert_eq!(with(&|q| q.color <= 10), grey);
}

#[test]
fn a_closer_look_sees_what_a_look_sees() {
    for golden in goldens() {
        let bytes = file(&format!("quality/{}", golden.name));
        let (seen, closely) = (look(&bytes).unwrap(), look_closely(&bytes).unwrap());
        let without = crate::Seen {
            quality: None,
            ..closely
        };
        assert_eq!(seen, without, "{}", golden.name);
    }
    let bytes = file("quality/sharp_420.jpg");
    for end in (0..bytes.len()).step_by(997) {
        let (seen, closely) = (look(&bytes[..end]), look_closely(&bytes[..end]));
        assert_eq!(seen.unwrap_err(), closely.unwrap_err(), "{end}");
    }
}

#[test]
fn the_coefficients_of_all_layouts_give_the_decoded_colours() {
    // Large enough to be seen at an eighth: whatever the layout, means of colour are near those of the decoded picture.
    for name in [
        "sharp.jpg",
        "sharp_420.jpg",
        "sharp_progressive.jpg",
        "sharp_restarts.jpg",
        "grey.jpg",
        "large.jpg",
    ] {
        let bytes = file(&format!("quality/{name}"));
        let (_, seen) = crate::jpeg::walk_in_color(&bytes).expect(name);
        let (seen, decoded) = (seen.expect("colours"), eighth(&decode(&bytes).unwrap()));
        assert_eq!(seen.stored(), decoded.stored(), "{name}");
        // Where chroma is coded at a half, four blocks share one: their mean is right.
        let cells = |picture: &Picture| -> Vec<f64> {
            let (width, height) = picture.stored();
            let mut cells = Vec::new();
            for channel in 0..3 {
                let plane = picture.plane(channel);
                let at = |x: usize, y: usize| f64::from(plane[y * width + x]);
                for (y, x) in
                    (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (2 * y, 2 * x)))
                {
                    cells.push((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4.0);
                }
            }
            cells
        };
        let (seen, decoded) = (cells(&seen), cells(&decoded));
        let differences: f64 = seen.iter().zip(&decoded).map(|(a, b)| (a - b).abs()).sum();
        let mean = differences / seen.len() as f64;
        assert!(mean < 1.0, "{name}: {mean}");
    }
}

#[test]
fn one_pixel_and_one_colour_have_numbers() {
    for (width, height) in [(1, 1), (2, 1), (1, 90), (400, 1), (900, 700)] {
        let white = vec![255; (width * height * 3) as usize];
        let picture = Picture::from_rgb(Format::Png, width, height, &white);
        for picture in [eighth(&picture), picture] {
            let found = quality(&picture);
            assert_eq!((found.brightness_5, found.brightness_99), (1.0, 1.0));
            assert_eq!((found.entropy, found.edges, found.color), (0.0, 0.0, 0));
        }
    }
}
