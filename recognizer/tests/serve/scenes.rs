//! Logos in a scene, by `identify --tiles` and `--detector`.

use serde_json::{Value, json};

use crate::model::{Form, picture, pixels, write_detector};
use crate::room::Room;

/// Side of the scene, of a logo on it, and where two of them lie: at windows of the default tiling.
const SIDE: usize = 320;
const LOGO: usize = 112;
const PLACES: [[usize; 2]; 2] = [[52, 104], [208, 156]];

/// Patches of nobody with the logos of brands 1 and 2.
fn scene() -> Vec<u8> {
    let mut rgb = pixels(9_001, 0, SIDE);
    for (brand, [left, top]) in (1..).zip(PLACES) {
        let own = pixels(brand, 0, LOGO);
        for y in 0..LOGO {
            let row = ((top + y) * SIDE + left) * 3;
            rgb[row..row + LOGO * 3].copy_from_slice(&own[y * LOGO * 3..][..LOGO * 3]);
        }
    }
    logodex_pixels::encode(&rgb, SIDE as u32, 95).unwrap()
}

fn area(place: usize) -> [u32; 4] {
    let [left, top] = PLACES[place].map(|x| x as u32);
    [left, top, left + LOGO as u32, top + LOGO as u32]
}

/// A gallery with six brands, and the scene's file.
pub fn prepared() -> (Room, String) {
    let room = Room::new();
    let mut list = "file,x0,y0,x1,y1,brand\n".to_owned();
    for brand in 1..7 {
        room.write(&format!("{brand}.jpg"), &picture(brand, 0));
        list += &format!("{brand}.jpg,,,,,b{brand}\n");
    }
    room.write("list.csv", list.as_bytes());
    let mut enrol = room.logodex(&["enrol", "--gallery", "gallery", "--list", "list.csv"]);
    let output = enrol.arg("--model").arg(&room.model).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    room.write("scene.jpg", &scene());
    let file = "scene.jpg".to_owned();
    (room, file)
}

fn identify(room: &Room, more: &[&str], code: i32) -> (Vec<Value>, String) {
    let fixed = [
        "identify",
        "--gallery",
        "gallery",
        "--json",
        "--threshold",
        "0.7",
    ];
    let output = room.logodex(&[&fixed[..], more].concat()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), told)
}

#[test]
fn windows_find_both_logos_where_the_whole_picture_shows_nobody() {
    let (room, scene) = prepared();
    let (whole, _) = identify(&room, &[&scene], 0);
    assert_eq!(whole[0]["verdict"], "unknown");

    let (tiles, _) = identify(&room, &["--tiles", &scene], 0);
    let boxes = tiles[0]["boxes"].as_array().unwrap();
    assert!(tiles[0]["looked_at"].as_u64().unwrap() > 50);
    let mut found: Vec<_> = boxes
        .iter()
        .map(|b| (b["brand"].clone(), b["box"].clone()))
        .collect();
    found.sort_by_key(|(brand, _)| brand.to_string());
    assert_eq!(
        found,
        [(json!("b1"), json!(area(0))), (json!("b2"), json!(area(1)))],
        "{tiles:?}"
    );
    // The line as a whole is that of the most similar part.
    assert_eq!(
        (&tiles[0]["verdict"], &tiles[0]["brand"]),
        (&json!("known"), &boxes[0]["brand"])
    );
    assert_eq!(tiles[0]["similarity"], boxes[0]["similarity"]);

    // A picture of nobody has no box; what is no picture is told, and the others go on.
    room.write("none.jpg", &picture(77, 0));
    room.write("broken.jpg", b"no picture");
    let (lines, told) = identify(&room, &["--tiles", "broken.jpg", "none.jpg", &scene], 1);
    assert!(
        lines[0]["error"].is_string() && told.contains("broken.jpg"),
        "{told}"
    );
    assert_eq!(
        (&lines[1]["verdict"], &lines[1]["boxes"]),
        (&json!("unknown"), &json!([]))
    );
    assert_eq!(lines[2], tiles[0]);

    // As a table, and the slips.
    let mut table = room.logodex(&["identify", "--gallery", "gallery", "--threshold", "0.7"]);
    let output = table.args(["--tiles", &scene]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("52,104,164,216") && text.contains("b2"),
        "{text}"
    );
    let (_, told) = identify(&room, &["--tiles", "--tile-sides", "0.5,1.5", &scene], 2);
    assert!(told.contains("between 0.02 and 1"), "{told}");
    room.write("boxed.csv", b"file,x0,y0,x1,y1\nscene.jpg,0,0,9,9\n");
    let (_, told) = identify(&room, &["--tiles", "--list", "boxed.csv"], 2);
    assert!(told.contains("whole pictures"), "{told}");
}

#[test]
fn the_boxes_of_a_detector_of_any_usual_form_are_named_or_told_unknown() {
    let (room, scene) = prepared();
    // Both logos, a place of nobody, one logo twice, and one that scores too low.
    let nobody = [0, 230, 80, 310];
    let found = |scale: f64| -> Vec<([f32; 4], f32)> {
        let [a, b] = [area(0), area(1)];
        [
            (a, 0.9),
            (b, 0.8),
            (nobody, 0.6),
            ([a[0] + 2, a[1] + 2, a[2], a[3]], 0.5),
            (b, 0.1),
        ]
        .map(|(area, score)| (area.map(|x| (f64::from(x) * scale) as f32), score))
        .into()
    };
    let scene_px = SIDE as f64;
    for (form, scale) in [
        (Form::Apart, 640.0 / scene_px),
        (Form::Apart, 1.0 / scene_px),
        (Form::Classes(160), 160.0 / scene_px),
        (Form::Together(320), 1.0),
    ] {
        let detector = write_detector(room.dir.path(), form, &found(scale));
        let detector = detector.to_str().unwrap();
        let (lines, _) = identify(&room, &["--detector", detector, &scene], 0);
        let boxes = lines[0]["boxes"].as_array().unwrap();
        let told: Vec<_> = boxes.iter().map(|b| (&b["brand"], &b["verdict"])).collect();
        assert_eq!(told.len(), 3, "{form:?} {boxes:?}");
        assert_eq!(
            told[2],
            (&json!(null), &json!("unknown")),
            "{form:?} {boxes:?}"
        );
        for (brand, place) in [("b1", 0), ("b2", 1)] {
            let own = boxes.iter().find(|b| b["brand"] == brand).unwrap();
            for (at, expected) in area(place).into_iter().enumerate() {
                let got = own["box"][at].as_i64().unwrap();
                assert!((got - i64::from(expected)).abs() <= 2, "{form:?} {own}");
            }
            let score = own["score"].as_f64().unwrap();
            assert!((score - [0.9, 0.8][place]).abs() < 1e-6);
        }
    }
    // The model itself is no detector, and says why.
    let model = room.model.to_str().unwrap();
    let (_, told) = identify(&room, &["--detector", model, &scene], 2);
    assert!(
        told.contains("not a usable detector") && told.contains("embedding"),
        "{told}"
    );
}
