//! Annotations as they are, and as they must not be.

use super::*;
use RejectReason::*;

/// As labelImg wrote most of the tree: declaration glued to the root, tabs, an empty line where `<path>` was.
const REAL: &str = "<?xml version=\"1.0\" ?><annotation verified=\"no\">\n\t<folder>VOC2007</folder>\n\
\t<filename>msn1 (38).jpg</filename>\n\t\n\t<size>\n\t\t<width>9</width>\n\t\t<depth>1</depth>\n\t</size>\n\
\t<object>\n\t\t<name>Abercrombie &amp; Fitch</name>\n\t\t<pose>Unspecified</pose>\n\t\t<bndbox>\n\
\t\t\t<xmin>176</xmin>\n\t\t\t<ymin>0</ymin>\n\t\t\t<xmax>341</xmax>\n\t\t\t<ymax>192</ymax>\n\t\t</bndbox>\n\
\t</object>\n\t<object>\n\t\t<name>Alcatel-2</name>\n\t\t<bndbox>\n\t\t\t<xmin>5</xmin>\n\t\t\t<ymin>6</ymin>\n\
\t\t\t<xmax>7</xmax>\n\t\t\t<ymax>8</ymax>\n\t\t</bndbox>\n\t</object>\n</annotation>";
const ONE_LINE: &str = "<annotation><object><name>x</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>4</xmax>\
<ymax>4</ymax></bndbox></object></annotation>\n";
/// Windows line ends, `<name>` last, a part with a name and a box of its own, CDATA, comments, another index.
const ODD: &str = "\u{feff}<!DOCTYPE annotation>\r\n<!-- c --><annotation>\r\n  <object>\r\n    <index>7</index>\r\n    \
<bndbox><ymax> 4.5 </ymax><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax></bndbox>\r\n    <part><name>no</name><bndbox>\
<xmin>9</xmin></bndbox></part>\r\n\r\n    <name> <![CDATA[<L'O>]]>&#x20;&#99; </name>\r\n    <!-- end -->\r\n  \
</object>\r\n</annotation>";

fn boxed(edges: [&str; 4]) -> String {
    let [a, b, c, d] = edges;
    format!(
        "<annotation><object><name>x</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>\
         </bndbox></object></annotation>"
    )
}

fn refused(source: impl AsRef<[u8]>) -> RejectReason {
    parse(source.as_ref())
        .expect_err(&String::from_utf8_lossy(source.as_ref()))
        .0
}

#[test]
fn real_variants_are_read() {
    let objects = parse(REAL.as_bytes()).expect("real").objects;
    assert_eq!(objects[0].name, "Abercrombie & Fitch");
    let first = BBox {
        xmin: 176.0,
        ymin: 0.0,
        xmax: 341.0,
        ymax: 192.0,
    };
    assert_eq!(objects[0].bbox, Ok(first));
    assert_eq!(objects[1].name, "Alcatel-2");
    assert_eq!(objects.len(), 2);
    let odd = &parse(ODD.as_bytes()).expect("odd").objects;
    assert_eq!(
        odd[0].name, "<L'O> c",
        "CDATA and character references are text"
    );
    assert_eq!(odd[0].bbox.as_ref().map(|b| b.ymax), Ok(4.5));
    assert_eq!(odd.len(), 1);
}

#[test]
fn indices_change_nothing_else() {
    let out = with_indices(REAL.as_bytes(), &[12, 3]).expect("indexed");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.contains("\t\t</bndbox>\n\t\t<index>12</index>\n\t</object>\n"));
    assert!(text.contains("\t\t</bndbox>\n\t\t<index>3</index>\n\t</object>\n</annotation>"));
    let without = text
        .replace("\n\t\t<index>12</index>", "")
        .replace("\n\t\t<index>3</index>", "");
    assert_eq!(without, REAL);

    let out = with_indices(ONE_LINE.as_bytes(), &[0]).expect("indexed");
    let expected = ONE_LINE.replace("</object>", "<index>0</index></object>");
    assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);

    let out = with_indices(ODD.as_bytes(), &[1]).expect("indexed");
    let expected = ODD
        .replace("<!DOCTYPE annotation>", "")
        .replace("\r\n    <index>7</index>", "")
        .replace("&#99; </name>", "&#99; </name>\r\n    <index>1</index>");
    assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
}

#[test]
fn indexing_twice_keeps_the_last_word() {
    for (source, n) in [(REAL, 2), (ONE_LINE, 1), (ODD, 1)] {
        let once = with_indices(source.as_bytes(), &vec![5; n]).expect("indexed");
        let twice = with_indices(&once, &vec![6; n]).expect("indexed again");
        let direct = with_indices(source.as_bytes(), &vec![6; n]).expect("indexed");
        assert_eq!(twice, direct);
        assert!(with_indices(source.as_bytes(), &vec![5; n + 1]).is_err());
    }
}

#[test]
fn files_that_are_no_annotation_are_refused() {
    for (why, source) in [
        ("empty", ""),
        ("no element", "<?xml version=\"1.0\"?>"),
        (
            "another root",
            "<html><object><name>x</name></object></html>",
        ),
        ("unclosed", "<annotation><object><name>x</name></object>"),
        ("crossed tags", "<annotation><a><b></a></b></annotation>"),
        ("stray end", "</annotation>"),
        (
            "two roots",
            "<annotation></annotation><annotation></annotation>",
        ),
        ("text after", "<annotation></annotation>x"),
        ("text before", "x<annotation></annotation>"),
        ("unclosed entity", "<annotation>&amp</annotation>"),
        ("bare ampersand", "<annotation>a & b</annotation>"),
        (
            "own entity",
            "<!DOCTYPE annotation [<!ENTITY b \"x\">]><annotation>&b;</annotation>",
        ),
        (
            "entity in attribute",
            "<annotation verified=\"&b;\"></annotation>",
        ),
        (
            "unquoted attribute",
            "<annotation verified=no></annotation>",
        ),
        (
            "attribute twice",
            "<annotation a=\"1\" a=\"2\"></annotation>",
        ),
        ("null reference", "<annotation>&#0;</annotation>"),
        ("control reference", "<annotation>&#1;</annotation>"),
        ("null byte", "<annotation>\0</annotation>"),
        ("name of a tag", "<annotation><1x></1x></annotation>"),
        (
            "late declaration",
            " <?xml version=\"1.0\"?><annotation></annotation>",
        ),
        ("two marks", "\u{feff}\u{feff}<annotation></annotation>"),
        ("a namespace", "<annotation xmlns=\"x\"/>"),
        ("a prefix", "<annotation><a:b/></annotation>"),
        ("a prefix", "<annotation a:b=\"1\"/>"),
        ("attributes without a space", "<annotation a=\"1\"b=\"2\"/>"),
        ("an open tag in a value", "<annotation a=\"<\"/>"),
        ("a control character in a value", "<annotation a=\"&#1;\"/>"),
        ("no name of one", "<annotation 1=\"1\"/>"),
        ("no character", "<annotation>\u{ffff}</annotation>"),
        ("CDATA's end in text", "<annotation>]]></annotation>"),
        (
            "dashes in a comment",
            "<annotation><!-- a -- b --></annotation>",
        ),
        ("a reference outside", "<annotation/>&#32;"),
        ("CDATA outside", "<annotation/><![CDATA[ ]]>"),
        ("a late declaration", "<annotation><?xml a?></annotation>"),
        ("no target", "<annotation><? a?></annotation>"),
        (
            "an object elsewhere",
            "<annotation><a><object><name>x</name></object></a></annotation>",
        ),
        (
            "an index elsewhere",
            "<annotation><index>x</index></annotation>",
        ),
    ] {
        assert_eq!(refused(source), AnnotationBroken, "{why}");
    }
    assert_eq!(refused("<annotation/>"), AnnotationNoObject);
    assert_eq!(refused(b"<annotation>\xe9</annotation>"), AnnotationNotUtf8);
    assert_eq!(refused(b"\xff\xfe<\0a\0"), AnnotationNotUtf8, "UTF-16");
}

#[test]
fn hostile_files_are_refused_quickly() {
    let nested = format!("<annotation>{}", "<a>".repeat(1 << 20));
    assert_eq!(refused(nested), AnnotationBroken);
    let attributes: String = (0..1 << 20).map(|i| format!(" a{i}=\"\"")).collect();
    assert_eq!(
        refused(format!("<annotation{attributes}/>")),
        AnnotationBroken
    );
    let mut bomb = String::from("<!DOCTYPE annotation [<!ENTITY l0 \"lol\">");
    for i in 1..12 {
        let body = format!("&l{};", i - 1).repeat(10);
        bomb += &format!("<!ENTITY l{i} \"{body}\">");
    }
    bomb += "]><annotation><object><name>&l11;</name></object></annotation>";
    assert_eq!(refused(bomb), AnnotationBroken);
    assert_eq!(refused(vec![b' '; MAX_BYTES + 1]), AnnotationBroken);
}

#[test]
fn a_bad_box_is_refused_and_its_object_stays() {
    let reason = |edges| {
        let mut objects = parse(boxed(edges).as_bytes()).expect("parses").objects;
        objects.remove(0).bbox.expect_err("a defect").reason
    };
    assert_eq!(reason(["left", "0", "4", "4"]), BoxNotANumber);
    assert_eq!(reason(["0", "", "4", "4"]), BoxNotANumber);
    assert_eq!(reason(["0", "0", "NaN", "4"]), BoxNotANumber);
    assert_eq!(reason(["0", "0", "4", "inf"]), BoxNotANumber);
    assert_eq!(reason(["0", "0", "4", "4</ymax><ymax>5"]), BoxNotANumber);
    assert_eq!(reason(["4", "0", "0", "4"]), BoxInverted);
    assert_eq!(reason(["4", "9", "4", "0"]), BoxInverted);
    assert_eq!(reason(["4", "0", "4", "4"]), BoxEmpty);
    assert_eq!(reason(["0", "2", "4", "2.0"]), BoxEmpty);
    let none = parse(b"<annotation><object><name>x</name></object></annotation>").expect("parses");
    let defect = none.objects[0].bbox.as_ref().expect_err("no box");
    assert_eq!(defect.detail, "there is no <xmin>");
}

#[test]
fn an_object_without_one_name_costs_itself_alone() {
    let good = "<object><name>x</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object>";
    for bad in [
        good.replace("<name>x</name>", ""),
        good.replace(">x<", "> <"),
        good.replace("<name>", "<name>y</name><name>"),
        "<object/>".to_owned(),
        "<object></object>".to_owned(),
    ] {
        let source = format!("<annotation>{bad}{good}</annotation>");
        let objects = parse(source.as_bytes()).expect("parses").objects;
        let defect = objects[0].bbox.as_ref().expect_err("no name");
        assert_eq!(defect.reason, ObjectNameless, "{bad}");
        assert!(objects[1].bbox.is_ok());
        let once = with_indices(source.as_bytes(), &[1, 2]).expect("indexed");
        assert_eq!(indices(&once).expect("read"), [1, 2], "{bad}");
        assert_eq!(with_indices(&once, &[1, 2]).expect("again"), once);
    }
}

#[test]
fn the_same_object_twice_is_one() {
    let object = |x: u32| {
        boxed([&x.to_string(), "0", "9", "9"])
            .replace("<annotation>", "")
            .replace("</annotation>", "")
    };
    let source = format!(
        "<annotation>{}\n {}{}</annotation>",
        object(1),
        object(1),
        object(2)
    );
    let objects = parse(source.as_bytes()).expect("parses").objects;
    assert!(objects[0].bbox.is_ok() && objects[2].bbox.is_ok());
    let twice = objects[1].bbox.as_ref().expect_err("a duplicate");
    assert_eq!(twice.reason, ObjectDuplicate);
}

#[test]
fn what_is_written_declares_what_it_is() {
    for (declared, written) in [
        ("<?xml version='1.0' encoding='ISO-8859-1'?>", None),
        ("<?xml version=\"1.0\" encoding=\"gb2312\" ?>", None),
        ("\u{feff}<?xml version='1.0' encoding='utf-16'?>", None),
        ("<?xml version='1.1'?>", None),
        ("<?xml encoding='UTF-8'?>", None),
        ("<?xml version='1.0\"?>", None),
        ("<?xml version=\"1.0\" ?>", Some("<?xml version=\"1.0\" ?>")),
        (
            "<?xml version='1.0' encoding='utf-8'?>",
            Some("<?xml version='1.0' encoding='utf-8'?>"),
        ),
    ] {
        let source = format!(
            "{declared}{}",
            boxed(["0", "0", "4", "4"]).replace(">x<", ">Nestlé<")
        );
        let out = with_indices(source.as_bytes(), &[3]).expect("indexed");
        let text = String::from_utf8(out).expect("UTF-8");
        let found = text
            .trim_start_matches('\u{feff}')
            .split_inclusive("?>")
            .next();
        let expected = written.unwrap_or(strict::DECLARATION);
        assert_eq!(found, Some(expected), "{declared}");
        assert!(text.contains("Nestlé"));
    }
}

#[test]
fn clipping_keeps_whole_pixels() {
    let clip = |edges: [f64; 4], w, h| {
        let [xmin, ymin, xmax, ymax] = edges;
        let b = BBox {
            xmin,
            ymin,
            xmax,
            ymax,
        };
        b.clip(w, h).map_err(|d| d.reason)
    };
    assert_eq!(clip([0.0, 0.0, 10.0, 5.0], 10, 5), Ok([0, 0, 10, 5]));
    assert_eq!(clip([-3.0, 1.2, 99.0, 1.3], 10, 5), Ok([0, 1, 10, 2]));
    assert_eq!(clip([9.5, 4.0, 9.6, 1e300], 10, 5), Ok([9, 4, 10, 5]));
    assert_eq!(clip([-1e300, 0.0, 1e-9, 1.0], 10, 5), Ok([0, 0, 1, 1]));
    assert_eq!(clip([10.0, 0.0, 12.0, 5.0], 10, 5), Err(BoxOutside));
    assert_eq!(clip([0.0, -4.0, 2.0, 0.0], 10, 5), Err(BoxOutside));
    assert_eq!(clip([0.0, 0.0, 2.0, 1.0], 10, 0), Err(BoxOutside));
}

/// SplitMix64: a fixed stream, so that a failure can be repeated.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize
}

#[test]
fn mutated_files_never_panic_and_what_parses_can_be_indexed() {
    const BYTES: &[u8] = b"<>/&;\"'=!?-[]#x0aeo19. \t\n\r\0\xef\xff";
    let mut state = 7;
    let mut parsed = 0;
    for source in [REAL, ONE_LINE, ODD] {
        for _ in 0..3_000 {
            let mut bytes = source.as_bytes().to_vec();
            for _ in 0..1 + next(&mut state) % 2 {
                let at = next(&mut state) % bytes.len();
                match next(&mut state) % 4 {
                    0 => bytes[at] = BYTES[next(&mut state) % BYTES.len()],
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, BYTES[next(&mut state) % BYTES.len()]),
                    _ => {
                        let end = (at + next(&mut state) % 40).min(bytes.len());
                        let piece = bytes[at..end].to_vec();
                        let to = next(&mut state) % bytes.len();
                        bytes.splice(to..to, piece);
                    }
                }
            }
            let Ok(before) = parse(&bytes) else { continue };
            parsed += 1;
            let indices: Vec<u32> = (0..before.objects.len() as u32).collect();
            let indexed = with_indices(&bytes, &indices).expect("what parses can be indexed");
            let shown = String::from_utf8_lossy(&indexed);
            assert_eq!(parse(&indexed).as_ref(), Ok(&before), "{shown}");
            assert_eq!(with_indices(&indexed, &indices).expect("again"), indexed);
        }
    }
    assert!(
        parsed > 1_000,
        "only {parsed} mutants parsed: the test tests nothing"
    );
}
