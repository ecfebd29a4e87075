//! The only door to XML: Pascal VOC annotations as LogoDet-3K has them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::name::nfc;
use anyhow::{anyhow, ensure};
use logodex_schemas::dataset::RejectReason;

mod strict;
mod voc;

pub use voc::MAX_BYTES;

/// What an annotation says of its image. Its `<folder>`, `<filename>` and `<size>` are not kept: they are often wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// The objects, in the order of the file.
    pub objects: Vec<Object>,
}

impl Annotation {
    /// Makes of every box that lies outside an image of this size a defect of its object.
    pub fn refuse_outside(&mut self, width: u32, height: u32) {
        for object in &mut self.objects {
            if let Ok(bbox) = &object.bbox
                && let Err(defect) = bbox.clip(width, height)
            {
                object.bbox = Err(defect);
            }
        }
    }
}

/// An annotated logo.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its `<name>` in NFC, entities resolved, white space around it removed. Empty where it has not exactly one.
    pub name: String,
    /// Its box, or why it is not used.
    pub bbox: Result<BBox, BoxDefect>,
}

/// A box in source pixels, half-open: `xmin < xmax`, `ymin < ymax`, all finite. It may reach out of its image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub xmin: f64,
    /// Top edge.
    pub ymin: f64,
    /// Right edge.
    pub xmax: f64,
    /// Bottom edge.
    pub ymax: f64,
}

/// Why an object is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxDefect {
    /// One of the `Box…` and `Object…` reasons.
    pub reason: RejectReason,
    /// What was found, for a person.
    pub detail: String,
}

impl BBox {
    /// The pixels that the box covers inside an image of this size: `[x0, y0, x1, y1]`, half-open, at least one pixel.
    ///
    /// # Errors
    /// [`RejectReason::BoxOutside`] when it covers none.
    pub fn clip(&self, width: u32, height: u32) -> Result<[u32; 4], BoxDefect> {
        let (w, h) = (f64::from(width), f64::from(height));
        if self.xmin >= w || self.ymin >= h || self.xmax <= 0.0 || self.ymax <= 0.0 {
            return Err(BoxDefect {
                reason: RejectReason::BoxOutside,
                detail: format!(
                    "the box ({}, {}, {}, {}) lies outside the image of {width}x{height} pixels",
                    self.xmin, self.ymin, self.xmax, self.ymax
                ),
            });
        }
        let low = |v: f64| v.max(0.0).floor() as u32;
        let high = |v: f64, limit: f64| v.min(limit).ceil() as u32;
        Ok([
            low(self.xmin),
            low(self.ymin),
            high(self.xmax, w),
            high(self.ymax, h),
        ])
    }
}

/// Parses an annotation: strict on XML and on what an object is, indifferent to everything else in the file.
///
/// # Errors
/// The reason and what was found, for a person. A box that cannot be used is no error of the file.
pub fn parse(source: &[u8]) -> Result<Annotation, (RejectReason, String)> {
    let found = voc::read(source).map_err(|(reason, detail)| (reason, shortened(detail)))?;
    let mut seen = HashMap::new();
    let object = |(position, object): (usize, voc::VocObject)| {
        let first = *seen
            .entry(without_index(source, &object))
            .or_insert(position);
        let name = match object.names.as_slice() {
            [name] if !name.is_empty() => Ok(nfc(name)),
            [] => Err("no <name>"),
            [_] => Err("an empty <name>"),
            _ => Err("more than one <name>"),
        };
        let bbox = match &name {
            Err(found) => Err(BoxDefect {
                reason: RejectReason::ObjectNameless,
                detail: format!("the object has {found}"),
            }),
            Ok(_) if first != position => Err(BoxDefect {
                reason: RejectReason::ObjectDuplicate,
                detail: format!("byte for byte the object {first}, which is kept"),
            }),
            Ok(_) => bbox(&object.edges),
        };
        let name = name.unwrap_or_default();
        Object { name, bbox }
    };
    let objects: Vec<Object> = found.objects.into_iter().enumerate().map(object).collect();
    if objects.is_empty() {
        let detail = "the annotation has no <object>".to_owned();
        return Err((RejectReason::AnnotationNoObject, detail));
    }
    Ok(Annotation { objects })
}

/// An object's bytes but for its `<index>`, which is the writer's and not the annotator's.
fn without_index<'a>(source: &'a [u8], object: &voc::VocObject) -> Cow<'a, [u8]> {
    if object.stale.is_empty() {
        return Cow::Borrowed(&source[object.span.clone()]);
    }
    let (mut kept, mut at) = (Vec::with_capacity(object.span.len()), object.span.start);
    for stale in &object.stale {
        kept.extend_from_slice(&source[at..stale.start]);
        at = stale.end;
    }
    kept.extend_from_slice(&source[at..object.span.end]);
    Cow::Owned(kept)
}

/// The `<index>` of each object of an annotation that [`with_indices`] wrote, in the order of the file.
///
/// # Errors
/// A file that is no annotation, or an object without exactly one `<index>` that is a brand's.
pub fn indices(source: &[u8]) -> anyhow::Result<Vec<u32>> {
    let objects = voc::read(source)
        .map_err(|(_, detail)| anyhow!(detail))?
        .objects;
    let index = |(position, object): (usize, voc::VocObject)| match object.indices.as_slice() {
        [index] => index
            .parse()
            .map_err(|_| anyhow!("object {position}: <index> is {index:?}")),
        found => Err(anyhow!("object {position} has {} <index>", found.len())),
    };
    objects.into_iter().enumerate().map(index).collect()
}

fn bbox(edges: &[Vec<String>; 4]) -> Result<BBox, BoxDefect> {
    let defect = |reason, detail| BoxDefect {
        reason,
        detail: shortened(detail),
    };
    let mut values = [0.0; 4];
    for ((value, texts), edge) in values.iter_mut().zip(edges).zip(voc::EDGES) {
        let found = match texts.as_slice() {
            [text] => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    *value = number;
                    continue;
                }
                _ => format!("<{edge}> is {text:?}"),
            },
            [] => format!("there is no <{edge}>"),
            _ => format!("<{edge}> is there {} times", texts.len()),
        };
        return Err(defect(RejectReason::BoxNotANumber, found));
    }
    let [xmin, ymin, xmax, ymax] = values;
    let edges = format!("xmin {xmin}, ymin {ymin}, xmax {xmax}, ymax {ymax}");
    if xmin > xmax || ymin > ymax {
        return Err(defect(RejectReason::BoxInverted, edges));
    }
    if xmin == xmax || ymin == ymax {
        return Err(defect(RejectReason::BoxEmpty, edges));
    }
    Ok(BBox {
        xmin,
        ymin,
        xmax,
        ymax,
    })
}

/// A hostile file quoted in a refusal must not swell the list of refusals: at most 300 bytes of it.
fn shortened(mut detail: String) -> String {
    if detail.len() > 300 {
        detail.truncate(detail.floor_char_boundary(300));
        detail.push('…');
    }
    detail
}

/// The same file, byte for byte, but with `<index>N</index>` as the last child of every `<object>`, indented as the
/// child before it. An `<index>` that is already there (a tree once prepared in place) is taken out, and so is a document
/// type; a declaration of another encoding than UTF-8, which the file is not in, is written anew.
///
/// # Errors
/// A file that is no annotation, or a number of indices other than that of the objects.
pub fn with_indices(source: &[u8], indices: &[u32]) -> anyhow::Result<Vec<u8>> {
    let voc::Voc { prolog, objects } = voc::read(source).map_err(|(_, detail)| anyhow!(detail))?;
    ensure!(
        objects.len() == indices.len(),
        "the annotation has {} objects, but {} indices were given: the file changed since it was scanned",
        objects.len(),
        indices.len()
    );
    let mut out = Vec::with_capacity(source.len() + 32 * objects.len());
    let mut copied = 0;
    for (range, instead) in prolog {
        out.extend_from_slice(&source[copied..range.start]);
        out.extend_from_slice(instead.as_bytes());
        copied = range.end;
    }
    for (object, index) in objects.iter().zip(indices) {
        let (before, after): (Vec<_>, Vec<_>) = object
            .stale
            .iter()
            .partition(|stale| stale.start < object.insert_at);
        for stale in before {
            out.extend_from_slice(&source[copied..stale.start]);
            copied = stale.end;
        }
        if object.insert_at == object.span.end {
            // `<object/>`
            out.extend_from_slice(&source[copied..object.span.end - 2]);
            out.extend_from_slice(format!("><index>{index}</index></object>").as_bytes());
            copied = object.span.end;
            continue;
        }
        out.extend_from_slice(&source[copied..object.insert_at]);
        out.extend_from_slice(&source[object.indent.clone()]);
        out.extend_from_slice(format!("<index>{index}</index>").as_bytes());
        copied = object.insert_at;
        for stale in after {
            out.extend_from_slice(&source[copied..stale.start]);
            copied = stale.end;
        }
    }
    out.extend_from_slice(&source[copied..]);
    Ok(out)
}

#[cfg(test)]
mod tests;
