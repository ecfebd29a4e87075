//! JPEG, to the last bit as libjpeg decodes it. Is the whole picture there? Decoders made for browsers paint what is
//! missing grey and report success; here every Huffman code is read, in the pass that decodes.
//!
//! [`sequential`] files (SOF0, SOF1) are judged to the last block, [`progressive`] ones (SOF2) to the last bit of every
//! scan. What is not decoded as libjpeg would is refused by its frame header. Terms and table numbers are those of ITU-T
//! T.81.

use crate::dc_image::DcImage;
use crate::picture::Picture;
use defect::{broken, truncated};
use entropy::tables::Tables;
use frame::{Scanner, parse_frame};
use markers::{APP0, APP14, DHT, DQT, DRI, EOI, JPEG_LS, SOS, ending, segment, start};
use progressive::Progress;
use quantisation::Quantisation;
use sequential::Scan;

pub(crate) use defect::Defect;
pub(crate) use frame::Frame;
use samples::Colors;
pub(crate) use samples::Samples;

mod color;
mod defect;
mod eighth;
mod entropy;
mod frame;
mod idct;
mod markers;
mod progressive;
mod quantisation;
mod samples;
mod sequential;

/// Reads the frame header alone, so that a size can be judged before anything is allocated.
///
/// # Errors
/// [`Defect`] when the file ends before it, or is no JPEG.
pub(crate) fn frame(bytes: &[u8]) -> Result<Frame, Defect> {
    let mut at = start(bytes)?;
    loop {
        let (marker, body, next) = segment(bytes, at)?;
        match marker {
            _ if is_frame(marker) => {
                return parse_frame(marker, body).map(|scan| scan.frame);
            }
            SOS => return broken("a scan begins before any frame header"),
            EOI => return truncated("the image ends before its frame header"),
            _ => at = next,
        }
    }
}

fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf if !matches!(marker, DHT | 0xc8 | 0xcc)) || marker == JPEG_LS
}

/// Walks the whole file: a mean per block of its first component.
///
/// # Errors
/// [`Defect`] where [`decode`] has one.
pub(crate) fn walk(bytes: &[u8]) -> Result<DcImage, Defect> {
    read(bytes, Purpose::Look).and_then(first)
}

/// As [`walk`], and the picture at an eighth of its size in colour; none where the file holds no RGB, grey or YCbCr.
///
/// # Errors
/// As [`walk`].
pub(crate) fn walk_in_color(bytes: &[u8]) -> Result<(DcImage, Option<Picture>), Defect> {
    let mut found = read(bytes, Purpose::LookInColor)?;
    let picture = found.picture.take();
    Ok((first(found)?, picture))
}

fn first(found: Found) -> Result<DcImage, Defect> {
    match found.dc_image {
        Some(means) => Ok(means),
        None => broken("no scan codes the first component"),
    }
}

/// What a file is read for.
enum Purpose<'a> {
    /// A mean per block of its first component.
    Look,
    /// The same, and the means of all components.
    LookInColor,
    /// Its samples, at `1 / 2^halvings` of its size.
    Decode(u32, &'a mut Samples),
}

/// What was found in a file that is only looked at.
#[derive(Default)]
struct Found {
    dc_image: Option<DcImage>,
    picture: Option<Picture>,
}

/// Walks the whole file and decodes it at `1 / 2^halvings` of its size.
///
/// # Errors
/// [`Defect`] when a block is missing or a code is none of its table's, or what it needs is not supported.
pub(crate) fn decode(bytes: &[u8], halvings: u32, samples: &mut Samples) -> Result<(), Defect> {
    read(bytes, Purpose::Decode(halvings, samples)).map(|_| ())
}

fn read(bytes: &[u8], purpose: Purpose<'_>) -> Result<Found, Defect> {
    let in_color = matches!(purpose, Purpose::LookInColor);
    let (halvings, mut decoding) = match purpose {
        Purpose::Decode(halvings, samples) => (halvings, Some(samples)),
        Purpose::Look | Purpose::LookInColor => (0, None),
    };
    let mut at = start(bytes)?;
    let mut components: [Option<eighth::Dc>; 4] = Default::default();
    let mut colors = Colors::Grey;
    let mut frame: Option<Scanner> = None;
    let mut tables = Tables::default();
    let mut quantisation = Quantisation::default();
    let mut unstuffed = Vec::new();
    let mut progress: Option<Progress> = None;
    let mut scans = 0;
    loop {
        let all = match (&frame, &progress) {
            (_, Some(progress)) => progress.complete(),
            (Some(frame), None) => frame.components.iter().all(|component| component.seen),
            (None, None) => false,
        };
        if all {
            ending(bytes, at, scans > 1)?;
            match (progress, decoding) {
                (Some(progress), Some(samples)) => {
                    progress.decode(samples);
                    return Ok(Found::default());
                }
                (Some(progress), None) => components = progress.dc_images(in_color),
                (None, _) => {}
            }
            let picture = match &frame {
                Some(frame) if in_color => eighth::picture(frame, colors, &components),
                _ => None,
            };
            let [first, ..] = components;
            return Ok(Found {
                dc_image: first.map(|(image, _)| image),
                picture,
            });
        }
        let (marker, body, next) = segment(bytes, at)?;
        at = next;
        match marker {
            DHT => tables.define(body)?,
            DQT => quantisation.define(body)?,
            APP0 => quantisation.jfif(body),
            APP14 => quantisation.adobe(body),
            DRI => match body {
                [high, low] => tables.restart = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return broken("the restart interval is not two bytes long"),
            },
            _ if is_frame(marker) => {
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
                if scans == 0 {
                    colors = quantisation.colors(frame);
                    if let Some(samples) = &mut decoding {
                        samples.shape(frame, colors, halvings);
                    }
                }
                scans += 1;
                if frame.frame.progressive {
                    let samples = decoding.as_deref_mut();
                    let progress = progress.get_or_insert_with(|| Progress::new(frame, samples));
                    let data = (bytes, at);
                    at = progress.read_scan(
                        frame,
                        &tables,
                        &quantisation,
                        body,
                        data,
                        &mut unstuffed,
                    )?;
                    continue;
                }
                let scan = frame.begin(body)?;
                for entry in &scan {
                    quantisation.table(&frame.components[entry.0])?;
                }
                if let Some(samples) = &mut decoding {
                    let sequential = Scan::new(frame, &scan, &mut tables, &quantisation, samples)?;
                    at = sequential.read(frame, &scan, &tables, (bytes, at), samples)?;
                    continue;
                }
                let mut means = Vec::new();
                let wanted = (scan.as_slice(), in_color);
                at = frame.walk(wanted, &mut tables, bytes, at, &mut unstuffed, &mut means)?;
                for (index, image) in frame.rasters(wanted, &means) {
                    let step = quantisation.table(&frame.components[index])?[0];
                    components[index] = Some((image, step));
                }
            }
            EOI => return truncated("the image ends before all of its components were coded"),
            _ => {}
        }
    }
}
