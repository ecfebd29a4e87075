//! The annotation reader on the real variants, on lies, and on mutated files.

use super::*;

/// As the real files are: declaration glued to the root, tabs, an empty indented line, an escaped name.
const REAL: &str = "<?xml version=\"1.0\" ?><annotation verified=\"no\">\n\t<folder>VOC2007</folder>\n\t\n\t<size>\n\t\t\
<width>512</width>\n\t</size>\n\t<object>\n\t\t<name>Abercrombie &amp; Fitch</name>\n\t\t<truncated>1</truncated>\n\t\t<bndbox>\n\t\t\t\
<xmin>2</xmin>\n\t\t\t<ymin>325</ymin>\n\t\t\t<xmax>509</xmax>\n\t\t\t<ymax>359</ymax>\n\t\t</bndbox>\n\t</object>\n\t<object>\n\t\t\
<name>b</name>\n\t\t<bndbox>\n\t\t\t<xmin>0</xmin>\n\t\t\t<ymin>0</ymin>\n\t\t\t<xmax>512</xmax>\n\t\t\t<ymax>1</ymax>\n\t\t</bndbox>\n\t\
</object>\n</annotation>";

fn one(fields: &str) -> String {
    format!("<annotation><object>{fields}</object></annotation>")
}

fn bndbox(edges: [&str; 4]) -> String {
    let [a, b, c, d] = edges;
    one(&format!(
        "<name>n</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
    ))
}

#[test]
fn a_real_file_is_read() {
    let found = parse(REAL.as_bytes()).unwrap();
    assert_eq!(found.objects.len(), 2);
    assert_eq!(found.objects[0].name, "Abercrombie & Fitch");
    let bbox = found.objects[0].bbox.unwrap();
    assert_eq!(
        (bbox.xmin, bbox.ymin, bbox.xmax, bbox.ymax),
        (2.0, 325.0, 509.0, 359.0)
    );
    let with_bom = [BOM, REAL.as_bytes()].concat();
    assert_eq!(parse(&with_bom).unwrap(), found);
}

#[test]
fn the_indexed_file_differs_by_the_index_elements_alone() {
    for source in [REAL.as_bytes().to_vec(), [BOM, REAL.as_bytes()].concat()] {
        let indexed = with_indices(&source, &[7, 2863]).unwrap();
        let text = String::from_utf8(indexed).unwrap();
        assert!(text.contains("</bndbox>\n\t\t<index>7</index>\n\t</object>"));
        let restored = text
            .replace("\n\t\t<index>7</index>", "")
            .replace("\n\t\t<index>2863</index>", "");
        assert_eq!(restored.as_bytes(), source);
    }
    let flat = bndbox(["1", "2", "3", "4"]);
    let indexed = String::from_utf8(with_indices(flat.as_bytes(), &[0]).unwrap()).unwrap();
    assert_eq!(indexed.replace("<index>0</index>", ""), flat);
    assert!(with_indices(flat.as_bytes(), &[0, 1]).is_err());
}

#[test]
fn a_bad_box_refuses_its_object_alone() {
    let defect = |edges| parse(bndbox(edges).as_bytes()).unwrap().objects[0].bbox;
    assert_eq!(defect(["5", "1", "5", "9"]), Err(BoxDefect::Empty));
    assert_eq!(defect(["9", "1", "5", "9"]), Err(BoxDefect::Inverted));
    for edge in ["nan", "inf", "", "wide", "1e999"] {
        assert_eq!(
            defect(["1", "1", edge, "9"]),
            Err(BoxDefect::NotANumber),
            "{edge}"
        );
    }
    assert_eq!(
        parse(one("<name>n</name>").as_bytes()).unwrap().objects[0].bbox,
        Err(BoxDefect::NotANumber)
    );
    let bbox = defect(["-3", "0.5", "600", "9"]).unwrap();
    assert_eq!(bbox.clip(500, 300), Ok([0, 0, 500, 9]));
    let outside = defect(["500", "1", "600", "9"]).unwrap();
    assert_eq!(outside.clip(500, 300), Err(BoxDefect::Outside));
}

#[test]
fn a_part_s_name_and_box_are_not_the_object_s() {
    let nested = one(
        "<part><name>wheel</name><bndbox><xmin>1</xmin></bndbox></part><name>car</name>\
         <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>",
    );
    let found = parse(nested.as_bytes()).unwrap();
    assert_eq!(found.objects[0].name, "car");
    assert!(found.objects[0].bbox.is_ok());
}

#[test]
fn broken_files_are_refused_with_their_reason() {
    let bomb =
        "<!DOCTYPE a [<!ENTITY b \"xxxx\"><!ENTITY c \"&b;&b;\">]><annotation>&c;</annotation>";
    let deep = "<annotation>".to_owned() + &"<a>".repeat(100_000);
    for (source, reason) in [
        ("", RejectReason::AnnotationBroken),
        ("not xml at all", RejectReason::AnnotationBroken),
        ("<annotation>", RejectReason::AnnotationBroken),
        (
            "<annotation><object></annotation>",
            RejectReason::AnnotationBroken,
        ),
        ("<html><body/></html>", RejectReason::AnnotationBroken),
        ("<annotation/><annotation/>", RejectReason::AnnotationBroken),
        (
            "<annotation>&unknown;</annotation>",
            RejectReason::AnnotationBroken,
        ),
        (bomb, RejectReason::AnnotationBroken),
        (&deep, RejectReason::AnnotationBroken),
        (
            "<annotation></annotation>",
            RejectReason::AnnotationNoObject,
        ),
    ] {
        let (found, detail) = parse(source.as_bytes()).unwrap_err();
        assert_eq!(found, reason, "{}", &source[..source.len().min(60)]);
        assert!(!detail.is_empty());
    }
    let (reason, _) = parse(b"<annotation>\xe9</annotation>").unwrap_err();
    assert_eq!(reason, RejectReason::AnnotationNotUtf8);
}

#[test]
fn mutated_files_never_panic_and_what_parses_can_be_indexed() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut parsed = 0;
    for _ in 0..5_000 {
        let mut bytes = REAL.as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes.insert(at, b"<>&/;\"\0"[next(7)]),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(found) = parse(&bytes) {
            parsed += 1;
            let indices: Vec<u32> = (0..found.objects.len() as u32).collect();
            let indexed = with_indices(&bytes, &indices).unwrap();
            assert_eq!(parse(&indexed).unwrap().objects.len(), found.objects.len());
        }
    }
    assert!(
        parsed > 100,
        "only {parsed} mutants parsed: the test tests nothing"
    );
}
