//! Damaged annotations.

use logodex_pipeline::raw::annotation::{parse, with_indices};
use logodex_schemas::dataset::RejectReason;

use crate::mutate::{Stream, damage};
use crate::{Verdict, read_all};

const SORT: u64 = 2;

const SOURCES: [&str; 3] = [
    "<?xml version=\"1.0\" ?><annotation verified=\"no\">\n\t<folder>Abercrombie &amp; Fitch</folder>\n\t<filename>1.jpg</filename>\n\t\n\
     \t<size>\n\t\t<width>512</width>\n\t\t<height>361</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<object>\n\t\t<name>Abercrombie &amp; Fitch</name>\n\
     \t\t<bndbox>\n\t\t\t<xmin>2</xmin>\n\t\t\t<ymin>325</ymin>\n\t\t\t<xmax>509</xmax>\n\t\t\t<ymax>359</ymax>\n\t\t</bndbox>\n\t</object>\n</annotation>\n",
    "<annotation><object><name>a</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3.5</xmax><ymax>4e0</ymax></bndbox></object>\
     <object><bndbox><ymax>9</ymax><xmax>9</xmax><ymin>0</ymin><xmin>0</xmin></bndbox><name>b</name></object></annotation>",
    "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!DOCTYPE annotation>\r\n<!-- a -->\r\n<annotation>\r\n  <object>\r\n    <name><![CDATA[né]]>&#x41;</name>\r\n\
     \x20   <index>7</index>\r\n    <bndbox><xmin> 1 </xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>\r\n  </object>\r\n</annotation>\r\n",
];

/// Pieces that parsers stumble over.
fn piece(stream: &mut Stream) -> Vec<u8> {
    let many = *stream.pick(&[2, 60, 1_000, 50_000]);
    match stream.below(14) {
        0 => b"<a>".repeat(many),
        1 => [b"<a>".repeat(many), b"</a>".repeat(many)].concat(),
        2 => {
            let value = "x".repeat(many * 10);
            format!("<a b=\"{value}\"/>").into_bytes()
        }
        3 => {
            let attributes: String = (0..many.min(5_000))
                .map(|i| format!(" a{i}=\"\""))
                .collect();
            format!("<a{attributes}/>").into_bytes()
        }
        4 => {
            let entities: String = (1..10)
                .map(|i| format!("<!ENTITY e{i} \"{}\">", format!("&e{};", i - 1).repeat(10)))
                .collect();
            format!("<!DOCTYPE annotation [<!ENTITY e0 \"ha\">{entities}]>").into_bytes()
        }
        5 => b"<!DOCTYPE annotation [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>&x;".to_vec(),
        6 => b"&e9;".repeat(many),
        7 => "<object><name>n</name></object>".repeat(many).into_bytes(),
        8 => "9".repeat(many).into_bytes(),
        9 => format!("<!--{}", "-".repeat(many)).into_bytes(),
        10 => b"<![CDATA[<annotation>".repeat(many.min(1_000)),
        11 => "<name>n</name>".repeat(many).into_bytes(),
        12 => (*stream.pick(&[
            &b"\0"[..],
            b"\xff\xfe",
            b"\xef\xbb\xbf",
            b"\xed\xa0\x80",
            b"&#0;",
            b"&#x110000;",
            b"&#xd800;",
            b"]]>",
            b"<?xml version=\"1.0\" encoding=\"utf-16\"?>",
            b"</annotation>",
            b"<annotation>",
            b"nan",
            b"-inf",
            b"1e999",
        ]))
        .to_vec(),
        _ => "<index>1</index>".repeat(many).into_bytes(),
    }
}

fn mutant(number: usize) -> Vec<u8> {
    let mut stream = Stream::new(SORT, number);
    let mut bytes = SOURCES[number % SOURCES.len()].as_bytes().to_vec();
    for _ in 0..1 + stream.below(2) {
        if stream.below(3) == 0 {
            let piece = piece(&mut stream);
            // At the border of a tag, or anywhere.
            let mut at = stream.below(bytes.len() + 1);
            if stream.below(4) > 0 {
                let rest = bytes[at..].iter().position(|&byte| byte == b'<');
                at += rest.unwrap_or(0);
            }
            bytes.splice(at..at, piece);
        } else {
            let other = stream.pick(&SOURCES).as_bytes();
            damage(&mut bytes, other, &mut stream);
        }
    }
    bytes
}

#[test]
fn damaged_annotations_are_parsed_or_refused() {
    let seen = read_all(|number| {
        let bytes = mutant(number);
        // A few copies of the file, and a record for each object that its bytes can spell.
        let allowed = (4 << 20) + 40 * bytes.len();
        let accepted = match parse(&bytes) {
            Ok(annotation) => {
                let n = annotation.objects.len() as u32;
                assert!(n > 0);
                let defects = annotation
                    .objects
                    .iter()
                    .filter_map(|o| o.bbox.as_ref().err());
                assert!(defects.into_iter().all(|defect| defect.detail.len() < 310));
                let indexed = with_indices(&bytes, &(0..n).collect::<Vec<_>>())
                    .expect("what parses can be indexed");
                assert_eq!(parse(&indexed), Ok(annotation), "input {number}");
                true
            }
            Err((reason, detail)) => {
                assert!(
                    matches!(
                        reason,
                        RejectReason::AnnotationBroken
                            | RejectReason::AnnotationNotUtf8
                            | RejectReason::AnnotationNoObject
                    ),
                    "input {number}: {reason:?}"
                );
                assert!(!detail.is_empty() && detail.len() < 310, "input {number}");
                false
            }
        };
        Verdict { accepted, allowed }
    });
    assert!(
        seen.accepted > 300 && seen.refused > 2_000,
        "the test tests nothing: {seen:?}"
    );
}
