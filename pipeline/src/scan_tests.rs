//! Scans of small trees made by hand.

use super::*;

const XML: &str = "<annotation><object><name>b</name><bndbox><xmin>1</xmin><ymin>1</ymin>\
                       <xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>";

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn quiet(raw: &Path) -> Result<Scan, ScanError> {
    scan(raw, &|_, _| {})
}

#[test]
fn pairs_are_found_by_stem_in_natural_order_wherever_the_tree_is_nested() {
    let dir = tempfile::tempdir().unwrap();
    for at in ["", "LogoDet-3K/", "zip/LogoDet-3K/LogoDet-3K/"] {
        for stem in ["10", "9", "b (1)"] {
            write(
                dir.path(),
                &format!("{at}Food/brand/{stem}.jpg"),
                stem.as_bytes(),
            );
            write(
                dir.path(),
                &format!("{at}Food/brand/{stem}.xml"),
                XML.as_bytes(),
            );
        }
        let raw = dir.path().join(at.split('/').next().unwrap());
        let found = quiet(if at.starts_with("zip") {
            &raw
        } else {
            dir.path()
        })
        .unwrap();
        let stems: Vec<_> = found.samples.iter().map(|s| &*s.stem).collect();
        assert_eq!(stems, ["9", "10", "b (1)"]);
        assert_eq!(found.samples[0].image, "Food/brand/9.jpg");
        assert_eq!(found.folders, [("Food".to_owned(), "brand".to_owned())]);
        assert!(found.rejects.is_empty());
    }
}

#[test]
fn what_cannot_be_used_is_listed_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let bad_box = XML.replace("<xmax>9", "<xmax>0");
    for (name, bytes) in [
        ("1.jpg", "x"),
        ("1.xml", XML),
        ("2.jpg", "x"),
        ("3.xml", XML),
        ("4.jpg", ""),
        ("4.xml", XML),
        ("5.jpg", "x"),
        ("5.xml", "<annotation><object>"),
        ("6.jpg", "x"),
        ("6.xml", &bad_box),
        ("7.jpg", "x"),
        ("7.JPG", "x"),
        ("7.xml", XML),
        ("8.jpg", "x"),
        ("8.xml", "<annotation/>"),
        ("notes.txt", "ignored"),
    ] {
        write(dir.path(), &format!("Food/b/{name}"), bytes.as_bytes());
    }
    write(dir.path(), "Food/b/9.jpg", b"x");
    write(dir.path(), "Food/b/9.xml", b"<annotation>\xff</annotation>");
    let found = quiet(dir.path()).unwrap();
    let rejects: Vec<_> = found
        .rejects
        .iter()
        .map(|r| (r.path.strip_prefix("Food/b/").unwrap(), r.object, r.reason))
        .collect();
    assert_eq!(
        rejects,
        [
            ("2.jpg", None, RejectReason::AnnotationMissing),
            ("3.xml", None, RejectReason::ImageMissing),
            ("4.jpg", None, RejectReason::ImageEmpty),
            ("5.xml", None, RejectReason::AnnotationBroken),
            ("6.xml", Some(0), RejectReason::BoxInverted),
            ("7.jpg", None, RejectReason::DuplicateStem),
            ("8.xml", None, RejectReason::AnnotationNoObject),
            ("9.xml", None, RejectReason::AnnotationNotUtf8),
        ]
    );
    let stems: Vec<_> = found.samples.iter().map(|s| &*s.stem).collect();
    assert_eq!(stems, ["1", "6", "7"]);
}

#[test]
fn a_missing_and_an_empty_tree_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        quiet(&dir.path().join("none")),
        Err(ScanError::Missing(_))
    ));
    write(dir.path(), "Food/b/1.xml", XML.as_bytes());
    assert!(matches!(quiet(dir.path()), Err(ScanError::Empty(_))));
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "Food/b/1.jpg", b"x");
    write(dir.path(), "Food/b/1.xml", XML.as_bytes());
    let before = quiet(dir.path()).unwrap();
    std::os::unix::fs::symlink("..", dir.path().join("Food/b/loop")).unwrap();
    std::os::unix::fs::symlink("../Food", dir.path().join("Food/again")).unwrap();
    assert_eq!(quiet(dir.path()).unwrap(), before);
}
