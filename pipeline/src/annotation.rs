//! Pascal VOC annotations: the only door to XML.
//!
//! Tolerant where the real files vary (declaration, attributes, white space, missing fields) and strict where it
//! matters (well-formed, UTF-8, no DTD). `<folder>`, `<filename>` and `<size>` are never read, because in LogoDet-3K
//! none of them can be trusted.

use logodex_schemas::dataset::RejectReason;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// Elements may nest this deep; VOC needs five levels.
const MAX_DEPTH: usize = 32;
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What an annotation says that is used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Annotation {
    /// The objects in document order.
    pub objects: Vec<Object>,
}

/// One `<object>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its `<name>`, entities decoded, surrounding white space removed; empty if it has none.
    pub name: String,
    /// Its box, or why it has none.
    pub bbox: Result<BBox, BoxDefect>,
}

/// A box in source pixels, 0-based, half open: it covers `xmin ≤ x < xmax`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    /// Left.
    pub xmin: f64,
    /// Top.
    pub ymin: f64,
    /// Right.
    pub xmax: f64,
    /// Bottom.
    pub ymax: f64,
}

/// What is wrong with a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxDefect {
    /// An edge is missing or no finite number.
    NotANumber,
    /// A minimum exceeds its maximum.
    Inverted,
    /// No area.
    Empty,
    /// Wholly outside its image.
    Outside,
}

impl BoxDefect {
    /// The reason under which the object is refused.
    pub fn reason(self) -> RejectReason {
        match self {
            Self::NotANumber => RejectReason::BoxNotANumber,
            Self::Inverted => RejectReason::BoxInverted,
            Self::Empty => RejectReason::BoxEmpty,
            Self::Outside => RejectReason::BoxOutside,
        }
    }

    /// The defect for a person.
    pub fn detail(self) -> &'static str {
        match self {
            Self::NotANumber => "an edge of the box is missing or no finite number",
            Self::Inverted => "a minimum of the box exceeds its maximum",
            Self::Empty => "the box has no area",
            Self::Outside => "the box lies wholly outside the image",
        }
    }
}

impl BBox {
    fn new([xmin, ymin, xmax, ymax]: [f64; 4]) -> Result<Self, BoxDefect> {
        if ![xmin, ymin, xmax, ymax].iter().all(|edge| edge.is_finite()) {
            Err(BoxDefect::NotANumber)
        } else if xmin > xmax || ymin > ymax {
            Err(BoxDefect::Inverted)
        } else if xmin == xmax || ymin == ymax {
            Err(BoxDefect::Empty)
        } else {
            Ok(Self {
                xmin,
                ymin,
                xmax,
                ymax,
            })
        }
    }

    /// The whole pixels `[x0, y0, x1, y1]` that the box touches in an image of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`BoxDefect::Outside`] if there are none.
    pub fn clip(&self, width: u32, height: u32) -> Result<[u32; 4], BoxDefect> {
        let low = |edge: f64| edge.floor().max(0.0);
        let (x0, y0) = (low(self.xmin), low(self.ymin));
        let x1 = self.xmax.ceil().min(f64::from(width));
        let y1 = self.ymax.ceil().min(f64::from(height));
        if x0 >= x1 || y0 >= y1 {
            return Err(BoxDefect::Outside);
        }
        Ok([x0 as u32, y0 as u32, x1 as u32, y1 as u32])
    }
}

/// Parses an annotation.
///
/// # Errors
/// Why the whole file is refused, and what was found. A bad box refuses only its object.
pub fn parse(source: &[u8]) -> Result<Annotation, (RejectReason, String)> {
    let document = walk(source)?;
    if document.is_empty() {
        return Err((
            RejectReason::AnnotationNoObject,
            "it has no <object>".to_owned(),
        ));
    }
    Ok(Annotation {
        objects: document.into_iter().map(|found| found.object).collect(),
    })
}

/// The same bytes with `<index>N</index>` as the last child of every object, indented as its first child is.
///
/// # Errors
/// The source is no annotation, or has another number of objects than `indices`.
pub fn with_indices(source: &[u8], indices: &[u32]) -> anyhow::Result<Vec<u8>> {
    let found = walk(source).map_err(|(_, detail)| anyhow::anyhow!(detail))?;
    anyhow::ensure!(
        found.len() == indices.len(),
        "the annotation has {} objects, but {} indices were given",
        found.len(),
        indices.len()
    );
    let mut out = Vec::with_capacity(source.len() + 32 * indices.len());
    let mut copied = 0;
    for (object, index) in found.iter().zip(indices) {
        out.extend_from_slice(&source[copied..object.insert_at]);
        out.extend_from_slice(object.indent.as_bytes());
        out.extend_from_slice(format!("<index>{index}</index>").as_bytes());
        copied = object.insert_at;
    }
    out.extend_from_slice(&source[copied..]);
    Ok(out)
}

/// An object and where its `<index>` belongs.
struct Found {
    object: Object,
    /// Byte offset just after the last child, or after the start tag if there is none.
    insert_at: usize,
    /// The white space before the first child.
    indent: String,
}

/// The object being read.
#[derive(Default)]
struct Open {
    name: String,
    edges: [Option<String>; 4],
    insert_at: usize,
    indent: Option<String>,
}

impl Open {
    fn close(self) -> Found {
        let edge = |text: &Option<String>| -> f64 {
            text.as_deref()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(f64::NAN)
        };
        Found {
            object: Object {
                name: self.name.trim().to_owned(),
                bbox: BBox::new([0, 1, 2, 3].map(|i| edge(&self.edges[i]))),
            },
            insert_at: self.insert_at,
            indent: self.indent.unwrap_or_default(),
        }
    }
}

/// Which piece of an object the text at this path belongs to.
fn field<'a>(open: &'a mut Open, path: &[String]) -> Option<&'a mut String> {
    let edge = match path {
        [_, _, name] if name == "name" => return Some(&mut open.name),
        [_, _, bndbox, edge] if bndbox == "bndbox" => edge,
        _ => return None,
    };
    let at = ["xmin", "ymin", "xmax", "ymax"]
        .iter()
        .position(|name| name == edge)?;
    Some(open.edges[at].get_or_insert_default())
}

fn walk(source: &[u8]) -> Result<Vec<Found>, (RejectReason, String)> {
    let text = std::str::from_utf8(source).map_err(|error| {
        (
            RejectReason::AnnotationNotUtf8,
            format!("byte {} is not UTF-8", error.valid_up_to()),
        )
    })?;
    let skipped = if source.starts_with(BOM) {
        BOM.len()
    } else {
        0
    };
    let broken = |detail: String| (RejectReason::AnnotationBroken, detail);
    let mut reader = Reader::from_str(&text[skipped..]);
    let mut path: Vec<String> = Vec::new();
    let mut open: Option<Open> = None;
    let mut found = Vec::new();
    let mut roots = 0;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| broken(format!("near byte {}: {error}", reader.error_position())))?;
        let at = skipped + reader.buffer_position() as usize;
        let (tag, is_empty) = match &event {
            Event::Start(tag) => (Some(tag), false),
            Event::Empty(tag) => (Some(tag), true),
            _ => (None, false),
        };
        if let Some(tag) = tag {
            let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
            if path.is_empty() {
                roots += 1;
                if name != "annotation" || roots > 1 {
                    return Err(broken(format!(
                        "<{name}> stands where the one <annotation> should"
                    )));
                }
            }
            if path.len() >= MAX_DEPTH {
                return Err(broken(format!("elements nest deeper than {MAX_DEPTH}")));
            }
            path.push(name);
            match &mut open {
                None if path.len() == 2 && path[1] == "object" => {
                    open = Some(Open {
                        insert_at: at,
                        ..Open::default()
                    });
                    if is_empty {
                        return Err(broken("an <object/> is empty".to_owned()));
                    }
                }
                Some(open) => {
                    open.indent.get_or_insert_default();
                    if let Some(field) = field(open, &path) {
                        field.clear(); // of two, the last one counts
                    }
                }
                None => {}
            }
        }
        let closes = is_empty || matches!(event, Event::End(_));
        match event {
            Event::Text(part) => {
                let part = part.decode().map_err(|error| broken(error.to_string()))?;
                if path.is_empty() && !part.trim().is_empty() {
                    return Err(broken("text stands outside the root element".to_owned()));
                }
                if let Some(open) = &mut open {
                    if path.len() == 2 && open.indent.is_none() && part.trim().is_empty() {
                        open.indent = Some(part.clone().into_owned());
                    }
                    if let Some(field) = field(open, &path) {
                        field.push_str(&part);
                    }
                }
            }
            Event::CData(part) => {
                if let Some(field) = open.as_mut().and_then(|open| field(open, &path)) {
                    field.push_str(&String::from_utf8_lossy(&part));
                }
            }
            Event::GeneralRef(entity) => {
                let character = resolve(&entity)
                    .ok_or_else(|| broken(format!("unknown entity near byte {at}")))?;
                if let Some(field) = open.as_mut().and_then(|open| field(open, &path)) {
                    field.push(character);
                }
            }
            Event::DocType(_) => {
                return Err(broken(
                    "a document type declaration is not allowed".to_owned(),
                ));
            }
            Event::Eof if path.is_empty() && roots == 1 => return Ok(found),
            Event::Eof => {
                return Err(broken(match path.last() {
                    Some(name) => format!("the file ends inside <{name}>"),
                    None => "it has no <annotation>".to_owned(),
                }));
            }
            _ => {}
        }
        if closes {
            path.pop();
            match path.len() {
                1 => found.extend(open.take().map(Open::close)),
                2 => {
                    if let Some(open) = &mut open {
                        open.insert_at = at;
                    }
                }
                _ => {}
            }
        }
    }
}

/// A character reference or one of XML's five entities. No other entity is ever expanded.
fn resolve(entity: &BytesRef) -> Option<char> {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return Some(character);
    }
    match entity.decode().ok()?.as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
#[path = "annotation_tests.rs"]
mod tests;
