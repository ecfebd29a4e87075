//! The page in headless Chromium, and the API under schemathesis, by the Python of `make python` or of `LOGODEX_PYTHON`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::api::enrol;
use crate::model::{picture, pixels};
use crate::room::Room;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository")
}

/// A file of the environment's folder `bin`.
fn python(name: &str) -> PathBuf {
    let interpreter = std::env::var_os("LOGODEX_PYTHON").map_or_else(
        || repository().join("target/python/bin/python"),
        PathBuf::from,
    );
    interpreter.with_file_name(name)
}

fn chromium() -> PathBuf {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").expect("PATH");
    let in_path = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    std::env::var_os("LOGODEX_CHROMIUM")
        .map(PathBuf::from)
        .or(in_path)
        .expect("no Chromium found; install one or set LOGODEX_CHROMIUM")
}

/// A scene of 320 × 320 pixels: patches of nobody with a brand's picture on them. `at` is its left and top edge.
fn scene(brand: u64, variant: u64, at: usize) -> Vec<u8> {
    let (side, logo) = (320, 96);
    let mut rgb = pixels(9_000 + brand * 7 + variant, 0, side);
    let own = pixels(brand, variant, logo);
    for y in 0..logo {
        let row = ((at + y) * side + at) * 3;
        rgb[row..row + logo * 3].copy_from_slice(&own[y * logo * 3..][..logo * 3]);
    }
    logodex_pixels::encode(&rgb, side as u32, 92).unwrap()
}

#[test]
#[ignore = "takes Chromium and playwright for Python"]
fn a_logo_is_dropped_drawn_round_enrolled_and_known_in_a_browser() {
    let room = Room::new();
    let token_text = "a-token-of-the-browsers-test";
    let token = room.write("token", token_text.as_bytes());
    let server = room.serve(&["--token-file", token.to_str().unwrap()]);
    let mut client = server.connect();
    client.token = Some(token_text.to_owned());
    for brand in 20..26 {
        enrol(
            &mut client,
            &format!("Enrolled%20{brand}"),
            &picture(brand, 0),
        );
    }
    let asked = room.write("some_new-logo.jpg", &scene(1, 0, 120));
    // Of the brand alone, as it may be pasted.
    let same = room.write("same.jpg", &picture(1, 3));
    let stranger = room.write("stranger.jpg", &scene(2, 0, 60));
    let mut command = Command::new(python("python"));
    command
        .arg("-B")
        .arg(repository().join("tests/python/browse_serve.py"))
        .arg(format!("http://{}/", server.address))
        .arg(chromium())
        .arg(token_text)
        .args([asked, same, stranger])
        .arg("120,120,216,216")
        .args(std::env::var_os("LOGODEX_SCREENSHOTS"));
    let output = command.output().expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}\n{}",
        text(&output.stderr),
        server.log()
    );
    assert!(said.contains("\"same\": true"), "{said}");
    assert!(!server.log().contains(token_text));
}

#[test]
#[ignore = "takes schemathesis for Python"]
fn schemathesis_finds_no_answer_that_the_document_does_not_tell() {
    let room = Room::new();
    let server = room.serve(&[]);
    enrol(&mut server.connect(), "Brand", &picture(1, 0));
    let mut command = Command::new(python("schemathesis"));
    command
        .arg("--config-file")
        .arg(repository().join("tests/python/schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/openapi.json", server.address))
        .args(["--no-color", "--seed", "14"])
        .current_dir(room.dir.path());
    let output = command.output().expect("schemathesis starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", server.log());
    server.connect().get("/readyz").ok(200);
}
