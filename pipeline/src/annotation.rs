//! The only door to XML: Pascal VOC annotations as LogoDet-3K has them.

use logodex_schemas::dataset::RejectReason;

/// What an annotation says of its image. Its `<folder>`, `<filename>` and `<size>` are not kept: they are often wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// The objects, in the order of the file.
    pub objects: Vec<Object>,
}

/// An annotated logo.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its `<name>`, entities resolved, white space around it removed.
    pub name: String,
    /// Its box, or why it has none.
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

/// Why a box cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxDefect {
    /// One of the `Box…` reasons.
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

/// Parses an annotation.
///
/// # Errors
/// The reason and what was found, for a person.
pub fn parse(source: &[u8]) -> Result<Annotation, (RejectReason, String)> {
    let _ = source;
    Err((RejectReason::AnnotationBroken, String::new()))
}

/// The same file with `<index>N</index>` at the end of every `<object>`.
///
/// # Errors
/// A file that [`parse`] refuses, or a number of indices other than that of the objects.
pub fn with_indices(source: &[u8], indices: &[u32]) -> anyhow::Result<Vec<u8>> {
    let _ = (source, indices);
    anyhow::bail!("not there yet")
}
