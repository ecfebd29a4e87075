//! What a gallery refuses, with a reason that says what to do.

use logodex_program::exit_code;
use logodex_recognizer::Gallery;
use logodex_schemas::gallery::Numbers;

use crate::made::{counts, gallery, model, picture};

#[test]
fn another_models_gallery_is_refused_with_the_command_that_embeds_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let mine = gallery(dir.path())
        .enrol(vec![picture("a", 1, [1.0; 3])], false)
        .unwrap();
    let error = Gallery::open_or_begin(place, &model("other"), Numbers::F32).unwrap_err();
    let told = format!("{error:#}");
    assert_eq!(exit_code(&error), 2, "{told}");
    assert!(
        told.contains(&format!("logodex reembed --gallery {place} --model")),
        "{told}"
    );
    assert!(mine.gallery.check_model(&model("made")).is_ok());
}

#[test]
fn what_is_no_gallery_is_told_with_the_command_that_begins_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("none");
    let error = Gallery::open(place.to_str().unwrap()).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(
        format!("{error:#}").contains("logodex enrol --gallery"),
        "{error:#}"
    );
    assert!(!place.exists());
}

#[test]
fn the_same_file_and_the_same_look_are_refused_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let first = gallery(dir.path())
        .enrol(vec![picture("a", 1, [1.0; 3])], false)
        .unwrap();
    let same_file = picture("b", 1, [1.0; 3]);
    let mut other_part = picture("b", 1, [1.0; 3]);
    other_part.crop.x = 7;
    other_part.phash = !other_part.phash;
    let mut same_look = picture("b", 2, [1.0; 3]);
    same_look.phash = picture("", 1, [1.0; 3]).phash ^ 0b111;
    let mut elsewhere = same_look.clone();
    elsewhere.blake3 = picture("", 7, [1.0; 3]).blake3;
    (elsewhere.bbox, elsewhere.crop.x) = (Some([60, 0, 160, 80]), 60);
    let mut other_look = picture("b", 3, [1.0; 3]);
    other_look.phash = picture("", 1, [1.0; 3]).phash ^ 0b1111;
    let twice = picture("b", 4, [1.0; 3]);
    let pictures = vec![
        same_file,
        other_part,
        same_look,
        other_look,
        twice.clone(),
        twice,
        elsewhere,
    ];
    let enrolled = first.gallery.enrol(pictures.clone(), false).unwrap();
    let refused: Vec<(usize, bool, &str)> = enrolled
        .duplicates
        .iter()
        .map(|duplicate| {
            (
                duplicate.place,
                duplicate.same_file,
                duplicate.of.brand.as_str(),
            )
        })
        .collect();
    assert_eq!(refused, [(0, true, "a"), (2, false, "a"), (5, true, "b")]);
    assert_eq!(counts(&enrolled.gallery), [("a", 1), ("b", 4)]);
    let all = enrolled.gallery.enrol(pictures, true).unwrap();
    assert_eq!(
        (all.added, counts(&all.gallery)),
        (7, vec![("a", 1), ("b", 11)])
    );
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("gallery");
    for name in ["", " a", "a\n", "\u{7}"] {
        let error = gallery(&place)
            .enrol(vec![picture(name, 1, [1.0; 3])], false)
            .unwrap_err();
        assert_eq!(exit_code(&error), 2, "{name:?}");
    }
    assert!(!place.exists());
}

#[test]
fn any_flipped_bit_and_any_cut_is_told_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = vec![picture("a", 1, [1.0; 3]), picture("b", 2, [1.0, 0.0, 0.0])];
    gallery(dir.path()).enrol(pictures, false).unwrap();
    let files = [
        "gallery.json",
        "generations/1/embeddings.safetensors",
        "generations/1/pictures.jsonl",
    ];
    for file in files {
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        let told = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = Gallery::open(dir.path().to_str().unwrap()).unwrap_err();
            let told = format!("{error:#}");
            assert_eq!(exit_code(&error), 5, "{told}");
            assert!(
                told.contains(path.file_name().unwrap().to_str().unwrap()),
                "{told}"
            );
        };
        for at in (0..whole.len()).step_by(whole.len() / 60) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            told(&flipped);
            told(&whole[..at]);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    std::fs::remove_file(dir.path().join(files[2])).unwrap();
    let error = Gallery::open(dir.path().to_str().unwrap()).unwrap_err();
    assert_eq!(exit_code(&error), 5, "{error:#}");
}
