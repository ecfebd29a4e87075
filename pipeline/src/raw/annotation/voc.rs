//! One pass over an annotation's XML that finds the objects and where in the bytes their children lie. Both reading
//! and indexing build on it, so that they can never disagree on what an object is.
//!
//! quick-xml checks tags and their order; what it leaves open and a damaged file can break is checked here.

use std::ops::Range;

use logodex_schemas::dataset::RejectReason;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// Real annotations are below 10 KiB; the largest has 65 objects.
pub const MAX_BYTES: usize = 16 << 20;
/// Real annotations nest four deep.
const MAX_DEPTH: usize = 64;
/// Real elements have one attribute at most. Bounds the work on a hostile file, as duplicates are sought pairwise.
const MAX_ATTRIBUTES: usize = 64;

/// The edges of a box, in the order of [`VocObject::edges`].
pub const EDGES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// An `<object>` and where it is.
#[derive(Debug, Default)]
pub struct VocObject {
    /// Text of its `<name>`.
    pub name: String,
    /// Texts of each edge in its `<bndbox>`: one, unless the file is defective.
    pub edges: [Vec<String>; 4],
    /// Where its last child ends.
    pub insert_at: usize,
    /// The white space in front of that child, its last line only.
    pub indent: Range<usize>,
    /// `<index>` elements that are already there, with the white space in front.
    pub stale: Vec<Range<usize>>,
    /// Texts of those elements.
    pub indices: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Annotation,
    Object,
    Name,
    Index,
    Box,
    Edge(usize),
    Other,
}

type Refusal = (RejectReason, String);

/// The objects of an annotation in the order of the file.
///
/// # Errors
/// The reason and what was found: not UTF-8, not well-formed, or no Pascal VOC annotation.
pub fn objects(source: &[u8]) -> Result<Vec<VocObject>, Refusal> {
    if source.len() > MAX_BYTES {
        return Err(broken(format!(
            "{} bytes; an annotation has at most {MAX_BYTES}",
            source.len()
        )));
    }
    let text = std::str::from_utf8(source).map_err(|e| {
        let detail = format!("no UTF-8 from byte {}", e.valid_up_to());
        (RejectReason::AnnotationNotUtf8, detail)
    })?;
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let base = text.len() - body.len();
    if body.starts_with('\u{feff}') {
        return Err(broken("a second byte order mark"));
    }
    if let Some(at) = body
        .bytes()
        .position(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r'))
    {
        return Err(broken(format!("a control character at byte {}", base + at)));
    }
    let mut walk = Walk {
        source,
        path: Vec::new(),
        starts: Vec::new(),
        root_seen: false,
        text: String::new(),
        names: 0,
        objects: Vec::new(),
    };
    let mut reader = Reader::from_str(body);
    loop {
        let start = base + reader.buffer_position() as usize;
        let event = reader.read_event().map_err(|e| {
            let at = (base + reader.error_position() as usize).min(source.len());
            let line = 1 + source[..at].iter().filter(|&&b| b == b'\n').count();
            broken(format!("line {line}: {e}"))
        })?;
        let end = base + reader.buffer_position() as usize;
        match event {
            Event::Start(tag) => walk.open(&tag, start)?,
            Event::Empty(tag) => {
                walk.open(&tag, start)?;
                walk.close(end)?;
            }
            Event::End(_) => walk.close(end)?,
            Event::Text(t) => walk.text(&t.decode().map_err(broken)?)?,
            Event::CData(t) => walk.text(&t.decode().map_err(broken)?)?,
            Event::GeneralRef(r) => walk.text(resolve(&r)?.encode_utf8(&mut [0; 4]))?,
            Event::Decl(_) if start != base => {
                return Err(broken("an XML declaration that does not open the file"));
            }
            Event::DocType(_) if walk.root_seen => {
                return Err(broken("a document type after the root"));
            }
            Event::Decl(_) | Event::DocType(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match (walk.path.len(), walk.root_seen) {
        (0, true) => Ok(walk.objects),
        (0, false) => Err(broken("no root element")),
        (open, _) => Err(broken(format!(
            "the file ends inside {open} open element(s)"
        ))),
    }
}

/// Where the white space before `at` begins, on the last line only. It never reaches across markup.
fn indent_before(source: &[u8], at: usize) -> usize {
    let blank = source[..at]
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_whitespace())
        .count();
    let run = at - blank;
    match source[run..at].iter().rposition(|&b| b == b'\n') {
        Some(0) | None => run,
        Some(newline) if source[run + newline - 1] == b'\r' => run + newline - 1,
        Some(newline) => run + newline,
    }
}

struct Walk<'a> {
    source: &'a [u8],
    path: Vec<Tag>,
    /// Where each open element begins.
    starts: Vec<usize>,
    root_seen: bool,
    /// Text of the innermost open name, index or edge.
    text: String,
    /// Names of the object at hand.
    names: usize,
    objects: Vec<VocObject>,
}

impl Walk<'_> {
    fn open(&mut self, tag: &BytesStart, start: usize) -> Result<(), Refusal> {
        // Indexing relies on it.
        if self.source.get(start) != Some(&b'<') {
            return Err(broken(format!("no tag at byte {start}")));
        }
        check_tag(tag)?;
        if self.path.len() == MAX_DEPTH {
            return Err(broken(format!("elements nest more than {MAX_DEPTH} deep")));
        }
        let name = tag.name();
        let tag = match (self.path.last(), name.as_ref()) {
            (None, _) if self.root_seen => return Err(broken("more than one root element")),
            (None, b"annotation") => Tag::Annotation,
            (None, other) => {
                return Err(broken(format!(
                    "the root is <{}>, not <annotation>",
                    String::from_utf8_lossy(other)
                )));
            }
            (Some(Tag::Annotation), b"object") => Tag::Object,
            (Some(Tag::Object), b"name") => Tag::Name,
            (Some(Tag::Object), b"index") => Tag::Index,
            (Some(Tag::Object), b"bndbox") => Tag::Box,
            (Some(Tag::Box), edge) => EDGES
                .iter()
                .position(|e| e.as_bytes() == edge)
                .map_or(Tag::Other, Tag::Edge),
            _ => Tag::Other,
        };
        self.root_seen = true;
        match tag {
            Tag::Object => {
                self.names = 0;
                self.objects.push(VocObject::default());
            }
            Tag::Name | Tag::Index | Tag::Edge(_) => self.text.clear(),
            _ => {}
        }
        self.path.push(tag);
        self.starts.push(start);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Refusal> {
        // quick-xml refuses an end without its start.
        let (Some(tag), Some(start)) = (self.path.pop(), self.starts.pop()) else {
            return Err(broken("an end tag without its start"));
        };
        let position = self.objects.len().wrapping_sub(1);
        let Some(object) = self.objects.last_mut() else {
            return Ok(());
        };
        match tag {
            Tag::Name => {
                self.names += 1;
                object.name = self.text.trim().to_owned();
            }
            Tag::Index => object.indices.push(self.text.trim().to_owned()),
            Tag::Edge(i) => object.edges[i].push(self.text.trim().to_owned()),
            Tag::Object if self.names != 1 || object.name.is_empty() => {
                let found = match self.names {
                    0 => "no <name>",
                    1 => "an empty <name>",
                    _ => "more than one <name>",
                };
                return Err(broken(format!("object {position} has {found}")));
            }
            _ => {}
        }
        if self.path.last() == Some(&Tag::Object) {
            let indent = indent_before(self.source, start);
            if tag == Tag::Index {
                object.stale.push(indent..end);
            } else {
                object.indent = indent..start;
                object.insert_at = end;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        match self.path.last() {
            Some(Tag::Name | Tag::Index | Tag::Edge(_)) => self.text.push_str(text),
            Some(_) => {}
            None if text.trim().is_empty() => {}
            None => return Err(broken("text outside the root element")),
        }
        Ok(())
    }
}

/// The character that a reference stands for. Entities of the file's own are never expanded.
fn resolve(reference: &BytesRef) -> Result<char, Refusal> {
    let name = reference.decode().map_err(broken)?;
    let found = match reference.resolve_char_ref().map_err(broken)? {
        Some(c) => Some(c).filter(|&c| is_xml_char(c)),
        None => resolve_predefined_entity(&name).and_then(|s| s.chars().next()),
    };
    found.ok_or_else(|| broken(format!("the unknown entity &{name};")))
}

/// Production 2 (`Char`) of XML 1.0.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn check_tag(tag: &BytesStart) -> Result<(), Refusal> {
    let name = tag.name();
    let name = name.as_ref();
    let opens = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':' || b >= 0x80;
    let goes_on = |b: u8| opens(b) || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !name.first().is_some_and(|&b| opens(b)) || !name.iter().all(|&b| goes_on(b)) {
        let name = String::from_utf8_lossy(name);
        return Err(broken(format!("{name:?} is no name of an element")));
    }
    let of = || format!("of <{}>", String::from_utf8_lossy(name));
    for (i, attribute) in tag.attributes().enumerate() {
        if i == MAX_ATTRIBUTES {
            return Err(broken(format!(
                "more than {MAX_ATTRIBUTES} attributes {}",
                of()
            )));
        }
        attribute
            .map_err(|e| e.to_string())
            .and_then(|a| a.unescape_value().map(drop).map_err(|e| e.to_string()))
            .map_err(|e| broken(format!("attribute {}: {e}", of())))?;
    }
    Ok(())
}

fn broken(detail: impl ToString) -> Refusal {
    (RejectReason::AnnotationBroken, detail.to_string())
}
