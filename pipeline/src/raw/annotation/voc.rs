//! One pass over an annotation's XML that finds the objects and where in the bytes their children lie. Both reading
//! and indexing build on it, so that they can never disagree on what an object is.
//!
//! quick-xml checks tags and their order; what it leaves open and a damaged file can break is checked here.

use std::ops::Range;

use logodex_schemas::dataset::RejectReason;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::strict::{DECLARATION, check_tag, is_instruction, is_plain_declaration, is_xml_char};

/// Real annotations are below 10 KiB; the largest has 65 objects.
pub const MAX_BYTES: usize = 16 << 20;
/// Real annotations nest four deep.
const MAX_DEPTH: usize = 64;
/// Longer texts are more than libxml2 reads.
const MAX_RUN: usize = 8 << 20;

/// The edges of a box, in the order of [`VocObject::edges`].
pub const EDGES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// An `<object>` and where it is.
#[derive(Debug, Default)]
pub struct VocObject {
    /// Where it is.
    pub span: Range<usize>,
    /// Texts of its `<name>`: one, unless the file is defective.
    pub names: Vec<String>,
    /// Texts of each edge in its `<bndbox>`: one, unless the file is defective.
    pub edges: [Vec<String>; 4],
    /// Where its last child ends, or its start tag if it has none.
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

/// What is found in an annotation.
#[derive(Debug)]
pub struct Voc {
    /// What of the beginning must not be written as it is, with what is written there: a declaration of another encoding (the
    /// file is UTF-8, whatever it says), a document type, of which nothing is used.
    pub prolog: Vec<(Range<usize>, &'static str)>,
    /// The objects in the order of the file.
    pub objects: Vec<VocObject>,
}

/// Finds the objects of an annotation.
///
/// # Errors
/// The reason and what was found: not UTF-8, not well-formed, or no Pascal VOC annotation.
pub fn read(source: &[u8]) -> Result<Voc, Refusal> {
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
    if let Some(at) = body.find(|c| !is_xml_char(c)) {
        let detail = format!("a character that XML does not have at byte {}", base + at);
        return Err(broken(detail));
    }
    let mut walk = Walk {
        source,
        path: Vec::new(),
        starts: Vec::new(),
        root_seen: false,
        text: String::new(),
        prolog: Vec::new(),
        objects: Vec::new(),
    };
    let mut reader = Reader::from_str(body);
    reader.config_mut().check_comments = true;
    loop {
        let start = base + reader.buffer_position() as usize;
        let event = reader.read_event().map_err(|e| {
            let at = (base + reader.error_position() as usize).min(source.len());
            let line = 1 + source[..at].iter().filter(|&&b| b == b'\n').count();
            broken(format!("line {line}: {e}"))
        })?;
        let end = base + reader.buffer_position() as usize;
        if end - start > MAX_RUN {
            return Err(broken(format!("{} bytes in one piece", end - start)));
        }
        match event {
            Event::Start(tag) => walk.open(&tag, start, end)?,
            Event::Empty(tag) => {
                walk.open(&tag, start, end)?;
                walk.close(end)?;
            }
            Event::End(_) => walk.close(end)?,
            Event::Text(t) => {
                let text = t.decode().map_err(broken)?;
                let outside = walk.path.is_empty() && !text.trim().is_empty();
                if outside || text.contains("]]>") {
                    return Err(broken("text outside the root element, or \"]]>\" in one"));
                }
                walk.text(&text);
            }
            Event::CData(_) | Event::GeneralRef(_) if walk.path.is_empty() => {
                return Err(broken("text outside the root element"));
            }
            Event::CData(t) => walk.text(&t.decode().map_err(broken)?),
            Event::GeneralRef(r) => walk.text(resolve(&r)?.encode_utf8(&mut [0; 4])),
            Event::Decl(_) if start != base => {
                return Err(broken("an XML declaration that does not open the file"));
            }
            Event::DocType(_) if walk.root_seen => {
                return Err(broken("a document type after the root"));
            }
            Event::Decl(d) => {
                let content = d.as_ref();
                if !std::str::from_utf8(content).is_ok_and(is_plain_declaration) {
                    walk.prolog.push((start..end, DECLARATION));
                }
            }
            Event::DocType(_) => walk.prolog.push((start..end, "")),
            Event::PI(p) => {
                let content: &[u8] = &p;
                if !std::str::from_utf8(content).is_ok_and(is_instruction) {
                    return Err(broken("a processing instruction without a proper target"));
                }
            }
            Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match (walk.path.len(), walk.root_seen) {
        (0, true) => Ok(Voc {
            prolog: walk.prolog,
            objects: walk.objects,
        }),
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
    prolog: Vec<(Range<usize>, &'static str)>,
    objects: Vec<VocObject>,
}

impl Walk<'_> {
    fn open(&mut self, tag: &BytesStart, start: usize, end: usize) -> Result<(), Refusal> {
        // Indexing relies on it.
        if self.source.get(start) != Some(&b'<') {
            return Err(broken(format!("no tag at byte {start}")));
        }
        check_tag(tag).map_err(broken)?;
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
            // The XSD of what is written holds every one of these to what a brand's index is.
            (Some(_), b"object" | b"index") => {
                return Err(broken(format!(
                    "<{}> where an annotation has none",
                    String::from_utf8_lossy(name.as_ref())
                )));
            }
            (Some(Tag::Box), edge) => EDGES
                .iter()
                .position(|e| e.as_bytes() == edge)
                .map_or(Tag::Other, Tag::Edge),
            _ => Tag::Other,
        };
        self.root_seen = true;
        match tag {
            Tag::Object => {
                self.objects.push(VocObject {
                    indent: end..end,
                    insert_at: end,
                    ..VocObject::default()
                });
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
        let Some(object) = self.objects.last_mut() else {
            return Ok(());
        };
        match tag {
            Tag::Name => object.names.push(self.text.trim().to_owned()),
            Tag::Index => object.indices.push(self.text.trim().to_owned()),
            Tag::Edge(i) => object.edges[i].push(self.text.trim().to_owned()),
            Tag::Object => object.span = start..end,
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

    fn text(&mut self, text: &str) {
        if let Some(Tag::Name | Tag::Index | Tag::Edge(_)) = self.path.last() {
            self.text.push_str(text);
        }
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

fn broken(detail: impl ToString) -> Refusal {
    (RejectReason::AnnotationBroken, detail.to_string())
}
