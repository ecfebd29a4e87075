//! Trees as they are, and as they must not be.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use RejectReason::*;

use super::raw_tree::{RawTree, look, xml};
use super::*;

fn reasons(scan: &Scan) -> Vec<(&str, Option<u32>, RejectReason)> {
    let rejects = scan.rejects.iter();
    rejects
        .map(|r| (r.path.as_str(), r.object, r.reason))
        .collect()
}

fn images(scan: &Scan) -> Vec<&str> {
    scan.samples.iter().map(|s| s.image.as_str()).collect()
}

#[test]
fn pairs_come_sorted_and_hashed() {
    let tree = RawTree::new();
    for stem in ["10", "9", "b", "100"] {
        tree.pair(&format!("Food/Bravo!,  Cucina Italiana/{stem}"), 1, &["x"]);
    }
    tree.pair("Clothes/76/0", 2, &["76", "Abercrombie & Fitch"])
        .pair("Clothes/L'OCCITANE/0", 3, &["y"]);
    let found = tree.scan();
    let bravo = ["9", "10", "100", "b"].map(|n| format!("Food/Bravo!,  Cucina Italiana/{n}.jpg"));
    let mut expected = vec!["Clothes/76/0.jpg", "Clothes/L'OCCITANE/0.jpg"];
    expected.extend(bravo.iter().map(String::as_str));
    assert_eq!(images(&found), expected);
    assert!(found.rejects.is_empty());
    let first = &found.samples[0];
    assert_eq!(
        (first.category.as_str(), first.folder.as_str()),
        ("Clothes", "76")
    );
    assert_eq!(first.annotation, "Clothes/76/0.xml");
    assert_eq!(first.image_blake3, blake3::hash(b"picture 2;"));
    let annotation = xml(&["76", "Abercrombie & Fitch"]);
    assert_eq!(first.annotation_blake3, blake3::hash(annotation.as_bytes()));
    assert_eq!(first.image_bytes, 10);
    assert_eq!(first.parsed.objects[1].name, "Abercrombie & Fitch");
    let folder = |c: &str, f: &str| (c.to_owned(), f.to_owned());
    let folders = [
        folder("Clothes", "76"),
        folder("Clothes", "L'OCCITANE"),
        folder("Food", "Bravo!,  Cucina Italiana"),
    ];
    assert_eq!(found.folders, folders);
}

#[test]
fn the_tree_hash_is_as_documented_and_moves_with_every_file() {
    let tree = RawTree::new();
    tree.pair("Food/a b/1", 1, &["a"])
        .pair("Food/a/1", 2, &["a"]);
    tree.file("Food/a/2.xml", "an orphan");
    let before = tree.scan().raw_blake3;
    let mut paths = [
        "Food/a b/1.jpg",
        "Food/a b/1.xml",
        "Food/a/1.jpg",
        "Food/a/1.xml",
        "Food/a/2.xml",
    ];
    paths.sort();
    let line = |path: &str| {
        let bytes = fs::read(tree.root().join(path)).expect("a file");
        format!("{}  {path}\n", blake3::hash(&bytes).to_hex())
    };
    let lines: String = paths.into_iter().map(line).collect();
    assert_eq!(before, blake3::hash(lines.as_bytes()));
    tree.file("Food/a/notes.txt", "no part of it");
    assert_eq!(tree.scan().raw_blake3, before);
    tree.file("Food/a/2.xml", "another orphan");
    assert_ne!(tree.scan().raw_blake3, before);
}

#[test]
fn the_root_may_be_nested() {
    for nesting in ["", "LogoDet-3K", "LogoDet-3K/LogoDet-3K"] {
        let tree = RawTree::new();
        tree.pair(
            Path::new(nesting).join("Food/a/1").to_str().expect("UTF-8"),
            1,
            &["a"],
        );
        let found = tree.scan();
        assert_eq!(found.root, tree.root().join(nesting));
        assert_eq!(images(&found), ["Food/a/1.jpg"]);
    }
}

#[test]
fn nothing_to_scan_is_a_typed_error() {
    let tree = RawTree::new();
    let of = |path: &Path| scan_with(path, &look, &|_, _| {}).expect_err("an error");
    let missing = of(&tree.root().join("none"));
    assert!(matches!(missing, ScanError::Missing(_)), "{missing}");
    assert!(matches!(of(tree.root()), ScanError::NoImages(_)));
    tree.file("Food/a/1.xml", xml(&["a"]))
        .file("Food/1.jpg", "misplaced");
    assert!(matches!(of(tree.root()), ScanError::NoImages(_)));
    let file = tree.root().join("Food/a/1.xml");
    assert!(matches!(of(&file), ScanError::NotAFolder(_)));
}

#[test]
fn every_defect_is_refused_with_its_reason_and_the_rest_stays() {
    let tree = RawTree::new();
    tree.pair("Food/a/1", 1, &["a"])
        .file("Food/a/2.jpg", "")
        .file("Food/a/2.xml", xml(&["a"]))
        .file("Food/a/3.jpg", "x")
        .file("Food/a/4.xml", xml(&["a"]))
        .file("Food/a/5.jpg", "x")
        .file("Food/a/5.xml", "<annotation>")
        .file("Food/a/6.jpg", "x")
        .file("Food/a/6.xml", b"<annotation>\xe9</annotation>")
        .file("Food/a/7.jpg", "x")
        .file("Food/a/7.xml", "<annotation/>")
        .pair("Food/a/8", 8, &["a", "a"])
        .file(
            "Food/a/8.xml",
            xml(&["a", "a"]).replacen("<xmax>9", "<xmax>wide", 1),
        )
        .pair("Food/a/9", 9, &["a"])
        .file("Food/a/9.JPG", "x")
        .file("Food/a/readme.md", "x")
        .file("Food/a/._1.jpg", "x")
        .file("Food/a/inner/1.jpg", "x");
    let found = tree.scan();
    assert_eq!(
        images(&found),
        ["Food/a/1.jpg", "Food/a/8.jpg", "Food/a/9.jpg"]
    );
    let expected = [
        ("Food/a/2.jpg", None, ImageEmpty),
        ("Food/a/3.jpg", None, AnnotationMissing),
        ("Food/a/4.xml", None, ImageMissing),
        ("Food/a/5.xml", None, AnnotationBroken),
        ("Food/a/6.xml", None, AnnotationNotUtf8),
        ("Food/a/7.xml", None, AnnotationNoObject),
        ("Food/a/8.xml", Some(0), BoxNotANumber),
        ("Food/a/9.JPG", None, DuplicateStem),
        ("Food/a/inner/1.jpg", None, Misplaced),
    ];
    assert_eq!(reasons(&found), expected);
}

#[cfg(unix)]
#[test]
fn links_pipes_and_foreign_names_neither_hang_nor_lead_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let tree = RawTree::new();
    tree.pair("Food/a/1", 1, &["a"])
        .file("Food/a/2.xml", xml(&["a"]));
    let at = |path: &str| tree.root().join(path);
    symlink(at("Food/a/1.jpg"), at("Food/a/2.jpg")).expect("a link");
    symlink(tree.root(), at("Food/loop")).expect("a link");
    let bytes = OsStr::from_bytes(b"\xff");
    fs::create_dir(at("Food").join(bytes)).expect("a folder");
    fs::write(at("Food").join(bytes).join("1.jpg"), "x").expect("a file");
    fs::write(at("Food/a").join(OsStr::from_bytes(b"\xff.jpg")), "x").expect("a file");
    let pipe = at("Food/a/3.jpg");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    let found = tree.scan();
    assert_eq!(images(&found), ["Food/a/1.jpg"]);
    let expected = [
        ("Food/a/2.jpg", None, Unreadable),
        ("Food/a/3.jpg", None, Unreadable),
        ("Food/a/\u{fffd}.jpg", None, PathNotUtf8),
        ("Food/loop", None, Unreadable),
        ("Food/\u{fffd}", None, PathNotUtf8),
    ];
    assert_eq!(reasons(&found), expected);
}

#[test]
fn order_of_creation_and_threads_change_nothing() {
    let stems: Vec<String> = (0..40).map(|i| format!("Food/f{}/{i}", i % 7)).collect();
    let (forward, backward) = (RawTree::new(), RawTree::new());
    for (i, stem) in stems.iter().enumerate() {
        forward.pair(stem, i as u32, &["x"]);
    }
    for (i, stem) in stems.iter().enumerate().rev() {
        backward.pair(stem, i as u32, &["x"]);
    }
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let a = one_thread.expect("a pool").install(|| forward.scan());
    let b = backward.scan();
    assert_eq!(a.raw_blake3, b.raw_blake3);
    assert_eq!(images(&a), images(&b));
}

#[test]
fn progress_counts_every_file() {
    let tree = RawTree::new();
    tree.pair("Food/a/1", 1, &["a"]).pair("Food/a/2", 2, &["a"]);
    let (calls, most) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |done: u64, total: u64| {
        assert_eq!(total, 4);
        calls.fetch_add(1, Ordering::Relaxed);
        most.fetch_max(done, Ordering::Relaxed);
    };
    scan_with(tree.root(), &look, &progress).expect("a scan");
    assert_eq!((calls.into_inner(), most.into_inner()), (4, 4));
}

#[test]
fn what_is_no_brand_makes_none_and_is_told() {
    let tree = RawTree::new();
    tree.pair("Food/a/1", 1, &["a"])
        .pair("Food/.ipynb_checkpoints/1", 1, &["a"])
        .pair("Food/@eaDir/1", 1, &["a"])
        .pair("Food/a/.thumbs/1", 1, &["a"])
        .pair("$RECYCLE.BIN/x/1", 1, &["a"])
        .pair("__MACOSX/Food/a/1", 1, &["a"])
        .pair(".Trash-1000/files/1", 1, &["a"])
        .pair("lost+found/x/1", 1, &["a"])
        .file("Food/KFC/KFC/1.jpg", "x")
        .file("Food/KFC/images/old/1.jpg", "x")
        .file("Food/1.jpg", "x")
        .file("1.jpg", "x")
        .file("Food/a/11.PNG", "x")
        .file("Food/a/11.xml", xml(&["a"]));
    let found = tree.scan();
    assert_eq!(found.folders.len(), 1);
    assert_eq!(
        found.passed_over,
        [
            "$RECYCLE.BIN",
            ".Trash-1000",
            "Food/.ipynb_checkpoints",
            "Food/@eaDir",
            "Food/a/.thumbs",
            "__MACOSX",
            "lost+found"
        ]
    );
    let line = found.passed_over_line().expect("a line");
    assert!(
        line.starts_with("7 housekeeping folders") && line.ends_with("and 2 more"),
        "{line}"
    );
    let expected = [
        ("1.jpg", None, Misplaced),
        ("Food/1.jpg", None, Misplaced),
        ("Food/KFC/KFC/1.jpg", None, Misplaced),
        ("Food/KFC/images/old/1.jpg", None, Misplaced),
        ("Food/a/11.xml", None, ImageMissing),
    ];
    assert_eq!(reasons(&found), expected);
    assert!(
        found.rejects[4]
            .detail
            .starts_with("11.PNG stands beside it")
    );
}
