//! Marker segments, and the stretches of entropy-coded data between them (annex B of T.81).

use super::defect::{Defect, broken, truncated};

pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
pub(super) const DQT: u8 = 0xdb;
pub(super) const DHT: u8 = 0xc4;
pub(super) const DRI: u8 = 0xdd;
const DAC: u8 = 0xcc;
const DHP: u8 = 0xde;
const EXP: u8 = 0xdf;
pub(super) const APP0: u8 = 0xe0;
pub(super) const APP14: u8 = 0xee;
/// The frame header of JPEG-LS (ITU-T T.87), which is no JPEG.
pub(super) const JPEG_LS: u8 = 0xf7;

/// Where the first segment begins.
pub(super) fn start(bytes: &[u8]) -> Result<usize, Defect> {
    match bytes {
        [0xff, SOI, ..] => Ok(2),
        [0xff] => truncated("the file ends within its first marker"),
        _ => broken("the file does not begin with a JPEG marker"),
    }
}

/// The marker segment at or after `at`: marker, body, and where the next begins.
pub(super) fn segment(bytes: &[u8], at: usize) -> Result<(u8, &[u8], usize), Defect> {
    let end = || {
        Defect::Truncated(format!(
            "the file ends after {} bytes, between two markers",
            bytes.len()
        ))
    };
    // Some writers leave bytes between segments; decoders skip them.
    let mut at = at;
    let marker = loop {
        let found = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|&byte| byte == 0xff));
        at += found.ok_or_else(end)?;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        match *bytes.get(at).ok_or_else(end)? {
            0 => {}
            marker => break marker,
        }
    };
    at += 1;
    let what = match marker {
        SOI => "a second start marker",
        DAC => "JPEG with arithmetic coding is not supported: a marker",
        DHP | EXP => "hierarchical JPEG is not supported: a marker",
        0x02..=0xbf | 0xc8 | 0xf0..=0xf6 | 0xf8..=0xfd => "a marker of no JPEG",
        _ => "",
    };
    if !what.is_empty() {
        return broken(format!("{what}, 0x{marker:02x}"));
    }
    if matches!(marker, EOI | 0x01 | 0xd0..=0xd7) {
        return Ok((marker, &[], at));
    }
    let Some(&[high, low]) = bytes.get(at..at + 2).and_then(|two| two.first_chunk()) else {
        return Err(end());
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < 2 {
        return broken(format!(
            "segment 0x{marker:02x} says that it is {length} bytes long"
        ));
    }
    match bytes.get(at + 2..at + length) {
        Some(body) => Ok((marker, body, at + length)),
        None => truncated(format!(
            "the file ends after {} bytes, within segment 0x{marker:02x}",
            bytes.len()
        )),
    }
}

/// Judges what stands at `at`, behind the last scan: an end-of-image marker, nothing, or what decoders skip up to one.
/// Decoders read a file of `several` scans to its end, so that a further scan would change its picture.
pub(super) fn ending(bytes: &[u8], at: usize, several: bool) -> Result<(), Defect> {
    let rest = bytes.get(at..).unwrap_or_default();
    let mut next = at;
    while several && rest.len() > 1 {
        match segment(bytes, next)? {
            (SOS, ..) => return broken("a scan follows when all is coded"),
            (EOI, ..) => return Ok(()),
            (.., behind) => next = behind,
        }
    }
    // A single 0xff is the marker's first half.
    if rest.len() > 1 && memchr::memmem::find(rest, &[0xff, EOI]).is_none() {
        return truncated(format!(
            "{} bytes follow the last scan, and no end-of-image marker",
            rest.len()
        ));
    }
    Ok(())
}

/// Zeros behind a stretch, so that a reader may look ahead: it fetches eight bytes at most eight bytes behind the last.
pub(super) const PADDING: usize = 16;

/// Copies the stretch of entropy-coded data that begins at `at` to `out`, without the zero that follows each 0xff
/// (B.1.1.5) and with [`PADDING`] zeros behind. Returns where it ends: at the next marker or the end of the file.
pub(super) fn unstuff(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut at = at.min(bytes.len());
    let end = loop {
        let Some(found) = memchr::memchr(0xff, &bytes[at..]) else {
            break bytes.len();
        };
        let mark = at + found;
        // Fill bytes may stand before a marker, and are no data: the marker begins with the last 0xff.
        let fill = bytes[mark + 1..].iter().take_while(|&&b| b == 0xff).count();
        let last = mark + fill;
        out.extend_from_slice(&bytes[at..mark]);
        match bytes.get(last + 1) {
            Some(0) => out.push(0xff),
            _ => {
                at = last;
                break last;
            }
        }
        at = last + 2;
    };
    out.extend_from_slice(&bytes[at..end]);
    out.extend_from_slice(&[0; PADDING]);
    end
}
