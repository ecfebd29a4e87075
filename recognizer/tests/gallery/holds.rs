//! What a gallery holds after changes, and what it finds.

use logodex_recognizer::Gallery;
use logodex_recognizer::gallery::snapshot::judge;
use logodex_recognizer::threshold::Threshold;
use logodex_schemas::gallery::{Numbers, Verdict};

use crate::made::{counts, gallery, model, of, picture};

#[test]
fn pictures_are_kept_by_brand_and_the_prototype_is_their_mean_of_length_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("gallery");
    let pictures = vec![
        picture("Puma", 1, [1.0, 0.0, 0.0]),
        picture("Adidas", 2, [0.0, 1.0, 0.0]),
        picture("Puma", 3, [0.0, 0.0, 1.0]),
    ];
    let enrolled = gallery(&place).enrol(pictures, false).unwrap();
    assert_eq!((enrolled.added, enrolled.duplicates.len()), (3, 0));
    let again = Gallery::open(place.to_str().unwrap()).unwrap();
    for gallery in [&enrolled.gallery, &again] {
        assert_eq!(counts(gallery), [("Adidas", 1), ("Puma", 2)]);
        let half = 0.5f32.sqrt();
        assert_eq!(gallery.prototype(1)[..3], [half, 0.0, half]);
        assert_eq!(gallery.embedding(1)[..3], [1.0, 0.0, 0.0]);
        assert_eq!(
            gallery.pictures()[2].source,
            picture("", 3, [1.0; 3]).source
        );
    }
}

#[test]
fn the_most_similar_is_named_from_the_threshold_on_and_equal_ones_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = vec![
        picture("b", 1, [1.0, 0.0, 0.0]),
        picture("a", 2, [1.0, 0.0, 0.0]),
        picture("c", 3, [0.0, 1.0, 0.0]),
    ];
    let gallery = gallery(dir.path()).enrol(pictures, false).unwrap().gallery;
    let query = picture("", 4, [0.8, 0.6, 0.0]).embedding;
    let top = gallery.search(&[&query], 9).remove(0);
    let names: Vec<&str> = top
        .iter()
        .map(|candidate| candidate.brand.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    let judged = |threshold| judge("x.jpg", top.clone(), &Threshold::given(threshold));
    let known = judged(f64::from(top[0].similarity));
    assert_eq!(
        (known.verdict, known.brand.as_deref()),
        (Verdict::Known, Some("a"))
    );
    let unknown = judged(f64::from(top[0].similarity.next_up()));
    assert_eq!((unknown.verdict, unknown.brand), (Verdict::Unknown, None));
    assert_eq!(unknown.similarity, Some(top[0].similarity));
}

#[test]
fn brands_are_renamed_made_one_and_removed_and_other_snapshots_stay_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = vec![
        picture("nike", 1, [1.0, 0.0, 0.0]),
        picture("Puma", 2, [0.0, 1.0, 0.0]),
        picture("Nike", 3, [1.0, 0.1, 0.0]),
    ];
    let first = gallery(dir.path()).enrol(pictures, false).unwrap().gallery;
    let told = format!("{:#}", first.rename("nike", "Nike", false).unwrap_err());
    assert!(told.contains("--merge"), "{told}");
    let merged = first.rename("nike", "Nike", true).unwrap();
    assert_eq!(counts(&merged), [("Nike", 2), ("Puma", 1)]);
    let renamed = merged.rename("Puma", "Asics", false).unwrap();
    assert_eq!(counts(&renamed), [("Asics", 1), ("Nike", 2)]);
    let hash = picture("", 1, [1.0; 3]).blake3;
    let fewer = renamed.remove("Nike", Some(&hash[..8])).unwrap();
    assert_eq!(counts(&fewer), [("Asics", 1), ("Nike", 1)]);
    assert_eq!(
        fewer.embedding(1),
        picture("", 3, [1.0, 0.1, 0.0]).embedding
    );
    let told = format!("{:#}", fewer.remove("Nike", Some("zz")).unwrap_err());
    assert!(told.contains("no picture whose hash begins"), "{told}");
    let told = format!("{:#}", fewer.remove("nik", None).unwrap_err());
    assert!(told.contains("Nike"), "the nearest name is told: {told}");
    let none = fewer
        .remove("Nike", None)
        .unwrap()
        .remove("Asics", None)
        .unwrap();
    assert_eq!(counts(&none), []);
    assert!(none.search(&[&first.embedding(0)], 3)[0].is_empty());
    assert_eq!(none.generation(), 6);

    // What was opened before is mapped still, though its files are gone.
    assert_eq!(counts(&first), [("Nike", 1), ("Puma", 1), ("nike", 1)]);
    assert_eq!(
        first.embedding(2),
        picture("", 1, [1.0, 0.0, 0.0]).embedding
    );
    let newest = first.newer().unwrap().unwrap();
    assert_eq!(newest.generation(), none.generation());
    assert!(newest.newer().unwrap().is_none());
}

#[test]
fn sixteen_bits_find_the_same_within_their_rounding() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = |n: u64| {
        let of = |i: u64| {
            let at = |k: u64| ((i * 37 + k * 11) % 101) as f32 / 101.0 - 0.3;
            picture(&format!("brand {}", i % 30), i, [at(1), at(2), at(3)])
        };
        (0..n).map(of).collect::<Vec<_>>()
    };
    let both = [Numbers::F32, Numbers::F16].map(|numbers| {
        let place = dir.path().join(format!("{numbers:?}"));
        of(&place, numbers)
            .enrol(pictures(300), true)
            .unwrap()
            .gallery
    });
    let query = picture("", 999, [0.3, 0.5, -0.2]).embedding;
    let [full, half] = both
        .each_ref()
        .map(|gallery| gallery.search(&[&query], 30).remove(0));
    for candidate in &full {
        let other = half
            .iter()
            .find(|other| other.brand == candidate.brand)
            .unwrap();
        assert!((other.similarity - candidate.similarity).abs() < 1e-3);
    }
    assert_eq!(half[0].brand, full[0].brand);
    assert!(both[1].newer().unwrap().is_none());
    assert_eq!(model("made").embedding_dim, both[1].model().embedding_dim);
}

#[test]
fn a_brand_is_told_its_nearest_other_its_margin_and_a_collision() {
    let dir = tempfile::tempdir().unwrap();
    let first = gallery(dir.path())
        .enrol(vec![picture("a", 1, [1.0, 0.0, 0.0])], false)
        .unwrap();
    assert_eq!(
        (
            first.standings[0].nearest.clone(),
            first.standings[0].margin
        ),
        (None, None)
    );
    assert!(!first.standings[0].collides(Some(0.5)));
    let far = vec![
        picture("b", 2, [0.0, 1.0, 0.0]),
        picture("b", 3, [0.0, 0.8, 0.6]),
    ];
    let far = first.gallery.enrol(far, false).unwrap();
    let standing = &far.standings[0];
    let nearest = standing.nearest.as_ref().unwrap();
    assert_eq!(
        (
            standing.pictures,
            nearest.brand.as_str(),
            nearest.similarity
        ),
        (2, "a", 0.0)
    );
    let margin = standing.margin.unwrap();
    assert!(
        (margin - 0.8).abs() < 1e-6,
        "each picture to the other: {margin}"
    );
    assert!(!standing.collides(Some(0.5)));
    // Nearer to `a` than a picture and its brand have to be.
    let near = far
        .gallery
        .enrol(vec![picture("c", 4, [1.0, 0.1, 0.0])], false)
        .unwrap();
    assert!(near.standings[0].collides(Some(0.9)) && !near.standings[0].collides(None));
    // One of its two pictures is `a`'s.
    let mixed = vec![
        picture("d", 5, [0.0, 0.0, 1.0]),
        picture("d", 6, [1.0, 0.0, 0.01]),
    ];
    let mixed = near.gallery.enrol(mixed, false).unwrap();
    assert!(mixed.standings[0].margin.unwrap() < 0.0 && mixed.standings[0].collides(None));
}
