//! Is the whole picture in this JPEG? Decoders made for browsers paint what is missing grey and report success, so the
//! entropy-coded data are walked here: every Huffman code is read. Files of the common kinds are decoded by the same walk
//! ([`baseline`]), all others by a library afterwards.
//!
//! Sequential files (SOF0, SOF1) are judged to the last block, progressive ones (SOF2) to the last bit of every scan
//! ([`progressive`]). Terms and table numbers are those of ITU-T T.81.

use crate::dc_image::DcImage;
use baseline::Scan;
use defect::{broken, truncated};
use entropy::tables::Tables;
use frame::{Frame, Scanner, parse_frame};
use markers::{APP14, DHT, DQT, DRI, EOI, SOS, closed, segment, start};
use progressive::Progress;
use quantisation::Quantisation;

pub(crate) use defect::Defect;
pub(crate) use samples::Samples;

mod baseline;
mod color;
mod defect;
mod entropy;
mod frame;
mod idct;
mod markers;
mod progressive;
mod quantisation;
mod samples;

/// Reads the frame header alone, so that a size can be judged before anything is allocated.
///
/// # Errors
/// [`Defect`] when the file ends before it, or is no JPEG.
pub(crate) fn frame(bytes: &[u8]) -> Result<Frame, Defect> {
    let mut at = start(bytes)?;
    loop {
        let (marker, body, next) = segment(bytes, at)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, DHT | 0xc8 | 0xcc) => {
                return parse_frame(marker, body).map(|scan| scan.frame);
            }
            SOS => return broken("a scan begins before any frame header"),
            EOI => return truncated("the image ends before its frame header"),
            _ => at = next,
        }
    }
}

/// What a walk through a whole file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Whether an end-of-image marker closes the file. Where not, every block is there and only the marker is missing.
    pub(crate) closed: bool,
    /// A mean per block of the first component, as far as DC coefficients give it; none for progressive files and
    /// for those that were decoded.
    pub(crate) dc_image: Option<DcImage>,
    /// Whether [`decode`] has decoded it.
    pub(crate) decoded: bool,
}

/// Walks the whole file.
///
/// # Errors
/// [`Defect`] when a block is missing or a code is none of its table's.
pub(crate) fn walk(bytes: &[u8]) -> Result<Walked, Defect> {
    read(bytes, None)
}

/// Walks the whole file and, where it is of a common kind, decodes it in the same pass: [`Walked::decoded`] tells. Where
/// it is not, and the file is known to be `whole` and closed, it is not walked.
///
/// # Errors
/// As [`walk`].
pub(crate) fn decode(bytes: &[u8], whole: bool, samples: &mut Samples) -> Result<Walked, Defect> {
    read(bytes, Some((samples, whole)))
}

fn read(bytes: &[u8], mut decoding: Option<(&mut Samples, bool)>) -> Result<Walked, Defect> {
    let mut at = start(bytes)?;
    let mut walked = Walked {
        closed: false,
        dc_image: None,
        decoded: false,
    };
    let mut frame: Option<Scanner> = None;
    let mut tables = Tables::default();
    let mut quantisation = Quantisation::default();
    let mut unstuffed = Vec::new();
    let mut progress: Option<Progress> = None;
    loop {
        let all = match (&frame, &progress) {
            (_, Some(progress)) => progress.complete(),
            (Some(frame), None) => frame.components.iter().all(|component| component.seen),
            (None, None) => false,
        };
        if all {
            walked.closed = closed(bytes, at);
            return Ok(walked);
        }
        let (marker, body, next) = segment(bytes, at)?;
        at = next;
        match marker {
            DHT => tables.define(body)?,
            DQT if decoding.is_some() => quantisation.define(body),
            APP14 => quantisation.adobe(body),
            DRI => match body {
                [high, low] => tables.restart = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return broken("the restart interval is not two bytes long"),
            },
            0xc0..=0xcf if !matches!(marker, 0xc8 | 0xcc) => {
                let scanner = parse_frame(marker, body)?;
                if frame.is_some() {
                    return broken("there are two frame headers");
                }
                frame = Some(scanner);
            }
            SOS => {
                let Some(frame) = frame.as_mut() else {
                    return broken("a scan begins before any frame header");
                };
                let scan = match frame.sequential {
                    true => frame.begin(body)?,
                    false => Vec::new(),
                };
                if let Some((samples, whole)) = &mut decoding {
                    if let Some(scan) = Scan::new(frame, &scan, &tables, &quantisation)? {
                        at = scan.read(frame, &tables, bytes, at, samples)?;
                        walked.decoded = true;
                        continue;
                    }
                    if *whole {
                        walked.closed = true;
                        return Ok(walked);
                    }
                }
                if !frame.sequential {
                    let progress = progress.get_or_insert_with(|| Progress::new(frame));
                    at = progress.read_scan(frame, &tables, body, (bytes, at), &mut unstuffed)?;
                    continue;
                }
                let mut means = Vec::new();
                at = frame.walk(&scan, &tables, bytes, at, &mut unstuffed, &mut means)?;
                if !means.is_empty() {
                    walked.dc_image = Some(frame.raster(&scan, &means));
                }
            }
            EOI => return truncated("the image ends before all of its components were coded"),
            _ => {}
        }
    }
}
