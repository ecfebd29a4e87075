//! Is the whole picture in this JPEG? Decoders made for browsers paint what is missing grey and report success, so the
//! entropy-coded data are walked here first: every Huffman code of a sequential JPEG is read, none is transformed.
//!
//! Sequential files (SOF0, SOF1) are judged to the last block, progressive ones (SOF2) to the last bit of every scan
//! ([`progressive`]). Terms and table numbers are those of ITU-T T.81.

use huffman::{Block, Tables, unstuff, walk_stretch};
use progressive::Progress;

mod huffman;
mod progressive;

/// What keeps a JPEG from being decoded in full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The file ends, or says that it ends, before its last row.
    #[error("{0}")]
    Truncated(String),
    /// It is no JPEG, or its data are corrupt.
    #[error("{0}")]
    Broken(String),
}

fn truncated<T>(text: impl Into<String>) -> Result<T, Defect> {
    Err(Defect::Truncated(text.into()))
}

fn broken<T>(text: impl Into<String>) -> Result<T, Defect> {
    Err(Defect::Broken(text.into()))
}

/// What the frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Width, pixels, at least 1.
    pub width: u32,
    /// Height, pixels, at least 1.
    pub height: u32,
    /// Components: 1 is grey, 3 is colour, 4 is CMYK or its kin.
    pub components: u8,
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;
const DRI: u8 = 0xdd;

/// Reads the frame header alone, so that a size can be judged before anything is allocated.
///
/// # Errors
/// [`Defect`] when the file ends before it, or is no JPEG.
pub fn frame(bytes: &[u8]) -> Result<Frame, Defect> {
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
pub struct Walked {
    /// Whether an end-of-image marker closes the file. Where not, every block is there and only the marker is missing.
    pub closed: bool,
    /// The first component at an eighth of its size, as far as DC coefficients give it; none for progressive files.
    pub eighth: Option<Eighth>,
}

/// A picture at an eighth of its size: a mean per block of 8 × 8 pixels, in the units of the file's DC coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eighth {
    /// Blocks per row, at least 1.
    pub width: usize,
    /// Rows of blocks, at least 1.
    pub height: usize,
    /// Row by row, `[height, width]`.
    pub means: Vec<i32>,
}

/// Walks the whole file.
///
/// # Errors
/// [`Defect`] when a block is missing or a code is none of its table's.
pub fn walk(bytes: &[u8]) -> Result<Walked, Defect> {
    let mut at = start(bytes)?;
    let mut eighth = None;
    let mut decoder: Option<Scanner> = None;
    let mut tables = Tables::default();
    let mut unstuffed = Vec::new();
    let mut progress: Option<Progress> = None;
    loop {
        if progress.as_ref().is_some_and(Progress::complete) {
            return Ok(Walked {
                closed: closed(bytes, at),
                eighth: None,
            });
        }
        if let Some(scanner) = &decoder
            && scanner.sequential
            && scanner.components.iter().all(|component| component.seen)
        {
            return Ok(Walked {
                closed: closed(bytes, at),
                eighth,
            });
        }
        let (marker, body, next) = segment(bytes, at)?;
        at = next;
        match marker {
            DHT => tables.define(body)?,
            DRI => match body {
                [high, low] => tables.restart = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return broken("the restart interval is not two bytes long"),
            },
            0xc0..=0xcf if !matches!(marker, 0xc8 | 0xcc) => {
                let scanner = parse_frame(marker, body)?;
                if decoder.is_some() {
                    return broken("there are two frame headers");
                }
                decoder = Some(scanner);
            }
            SOS => {
                let Some(scanner) = decoder.as_mut() else {
                    return broken("a scan begins before any frame header");
                };
                if scanner.sequential {
                    let scan = scanner.begin(body)?;
                    let mut means = Vec::new();
                    at = scanner.walk(&scan, &tables, bytes, at, &mut unstuffed, &mut means)?;
                    if !means.is_empty() {
                        eighth = Some(scanner.raster(&scan, &means));
                    }
                } else {
                    let progress = progress.get_or_insert_with(|| Progress::new(scanner));
                    at = progress.read_scan(scanner, &tables, body, (bytes, at), &mut unstuffed)?;
                }
            }
            EOI => return truncated("the image ends before all of its components were coded"),
            _ => {}
        }
    }
}

fn start(bytes: &[u8]) -> Result<usize, Defect> {
    match bytes {
        [0xff, SOI, ..] => Ok(2),
        [0xff] => truncated("the file ends within its first marker"),
        _ => broken("the file does not begin with a JPEG marker"),
    }
}

/// The marker segment at or after `at`: marker, body, and where the next begins.
fn segment(bytes: &[u8], at: usize) -> Result<(u8, &[u8], usize), Defect> {
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
    if matches!(marker, EOI | SOI | 0x01 | 0xd0..=0xd7) {
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

/// Whether an end-of-image marker follows.
fn closed(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at..)
        .is_some_and(|rest| rest.windows(2).any(|pair| pair == [0xff, EOI]))
}

/// The end of the entropy-coded stretch that begins at `at`: the next marker or the end of the file.
fn stretch_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
    {
        match bytes.get(at + found + 1) {
            Some(0) => at += found + 2,
            // A fill byte: the marker, if one follows, begins with the last 0xff.
            Some(0xff) => at += found + 1,
            _ => return at + found,
        }
    }
    bytes.len()
}

/// One component of the frame.
struct Component {
    id: u8,
    horizontal: usize,
    vertical: usize,
    /// Whether a scan has coded it.
    seen: bool,
}

/// The frame, and which of its components have been walked.
struct Scanner {
    frame: Frame,
    sequential: bool,
    components: Vec<Component>,
}

/// A component within a scan: its index in the frame, its DC and its AC table.
type ScanComponent = (usize, usize, usize);

fn parse_frame(marker: u8, body: &[u8]) -> Result<Scanner, Defect> {
    let &[precision, y1, y0, x1, x0, n, ref rest @ ..] = body else {
        return broken("the frame header is too short");
    };
    if !matches!(marker, 0xc0..=0xc2) || precision != 8 {
        return broken(format!(
            "coding process 0x{marker:02x} with {precision} bits a sample is not supported"
        ));
    }
    let frame = Frame {
        width: u32::from(u16::from_be_bytes([x1, x0])),
        height: u32::from(u16::from_be_bytes([y1, y0])),
        components: n,
    };
    if frame.width == 0 || frame.height == 0 {
        return broken(format!(
            "the frame is {} × {} pixels",
            frame.width, frame.height
        ));
    }
    if !(1..=4).contains(&n) || rest.len() < 3 * usize::from(n) {
        return broken(format!("the frame has {n} components"));
    }
    let components: Vec<Component> = rest
        .chunks_exact(3)
        .take(usize::from(n))
        .map(|component| Component {
            id: component[0],
            horizontal: usize::from(component[1] >> 4),
            vertical: usize::from(component[1] & 15),
            seen: false,
        })
        .collect();
    for component in &components {
        if !(1..=4).contains(&component.horizontal) || !(1..=4).contains(&component.vertical) {
            return broken("a component's sampling factor is not 1 to 4");
        }
    }
    Ok(Scanner {
        frame,
        sequential: marker != 0xc2,
        components,
    })
}

impl Scanner {
    /// Reads a scan header.
    fn begin(&mut self, body: &[u8]) -> Result<Vec<ScanComponent>, Defect> {
        let n = usize::from(body.first().copied().unwrap_or(0));
        let (Some(selectors), true) = (body.get(1..1 + 2 * n), (1..=4).contains(&n)) else {
            return broken("the scan header is too short");
        };
        let mut scan = Vec::with_capacity(n);
        for selector in selectors.chunks_exact(2) {
            let Some(index) = self
                .components
                .iter()
                .position(|component| component.id == selector[0])
            else {
                return broken("a scan names a component that the frame has not");
            };
            if std::mem::replace(&mut self.components[index].seen, true) {
                return broken("a component is coded twice");
            }
            scan.push((
                index,
                usize::from(selector[1] >> 4),
                usize::from(selector[1] & 15),
            ));
        }
        Ok(scan)
    }

    /// Walks the scan's entropy-coded data, which begin at `at`, and returns where they end.
    fn walk(
        &self,
        scan: &[ScanComponent],
        tables: &Tables,
        bytes: &[u8],
        at: usize,
        unstuffed: &mut Vec<u8>,
        means: &mut Vec<i32>,
    ) -> Result<usize, Defect> {
        let (units, blocks_of) = self.units(scan.iter().map(|component| component.0));
        let mut blocks = Vec::new();
        for (&(index, dc, ac), &n) in scan.iter().zip(&blocks_of) {
            let dc = tables.dc.get(dc).and_then(Option::as_deref);
            let ac = tables.ac.get(ac).and_then(Option::as_deref);
            let (Some(dc), Some(ac)) = (dc, ac) else {
                return broken("a scan uses a Huffman table that is not defined");
            };
            let wanted = index == 0;
            blocks.extend((0..n).map(|_| Block { dc, ac, wanted }));
        }
        self.each_stretch(
            units,
            tables,
            bytes,
            at,
            unstuffed,
            &mut |_, wanted, padded| walk_stretch(&blocks, wanted, padded, means),
        )
    }

    /// Reads a scan's `units` coding units from `at` on, one stretch between restart markers after the other, and returns
    /// where they end. `read` is told how many units came before, how many the stretch should hold, and its bytes with
    /// eight zeros behind; it returns how many are there whole.
    fn each_stretch(
        &self,
        units: usize,
        tables: &Tables,
        bytes: &[u8],
        mut at: usize,
        unstuffed: &mut Vec<u8>,
        read: &mut dyn FnMut(usize, usize, &[u8]) -> Result<usize, Defect>,
    ) -> Result<usize, Defect> {
        let (ends, of) = match self.sequential {
            true => ("the data end", ""),
            false => ("a scan ends", " of a scan"),
        };
        let mut done = 0;
        loop {
            let end = stretch_end(bytes, at);
            unstuff(&bytes[at.min(end)..end], unstuffed);
            let wanted = match tables.restart {
                0 => units - done,
                interval => interval.min(units - done),
            };
            let whole = read(done, wanted, unstuffed)?;
            done += whole;
            if done == units {
                return Ok(end);
            }
            match bytes.get(end + 1) {
                Some(0xd0..=0xd7) if whole == wanted => at = end + 2,
                None | Some(&EOI) => {
                    return truncated(format!("{ends} after {done} of {units} coding units"));
                }
                Some(marker) => {
                    return broken(format!(
                        "marker 0x{marker:02x} after {done} of {units} coding units{of}"
                    ));
                }
            }
        }
    }

    /// How many coding units a scan of these components has, and how many blocks of each are in one: without interleaving
    /// the unit is the block (A.2.2), else the MCU (A.2.3).
    fn units(&self, scan: impl ExactSizeIterator<Item = usize>) -> (usize, Vec<usize>) {
        let several = scan.len() > 1;
        let (h_max, v_max) = self.largest_factors();
        let mut units = (self.frame.width as usize).div_ceil(8 * h_max)
            * (self.frame.height as usize).div_ceil(8 * v_max);
        let mut blocks_of = Vec::with_capacity(scan.len());
        for index in scan {
            if several {
                let c = &self.components[index];
                blocks_of.push(c.horizontal * c.vertical);
            } else {
                let (across, down) = self.blocks(index);
                units = across * down;
                blocks_of.push(1);
            }
        }
        (units, blocks_of)
    }

    /// The largest sampling factors, horizontal and vertical.
    fn largest_factors(&self) -> (usize, usize) {
        let h_max = self.components.iter().map(|c| c.horizontal).max();
        let v_max = self.components.iter().map(|c| c.vertical).max();
        (h_max.unwrap_or(1), v_max.unwrap_or(1))
    }

    /// How many blocks a component has, across and down, those that only fill a unit up not counted.
    fn blocks(&self, index: usize) -> (usize, usize) {
        let (h_max, v_max) = self.largest_factors();
        let c = &self.components[index];
        let across = (self.frame.width as usize * c.horizontal).div_ceil(h_max);
        let down = (self.frame.height as usize * c.vertical).div_ceil(v_max);
        (across.div_ceil(8), down.div_ceil(8))
    }

    /// The first component's DC coefficients from the order of the scan to rows.
    fn raster(&self, scan: &[ScanComponent], means: &[i32]) -> Eighth {
        let (width, height) = self.blocks(0);
        if scan.len() == 1 {
            let means = means.to_vec();
            return Eighth {
                width,
                height,
                means,
            };
        }
        let (h_max, _) = self.largest_factors();
        let (h, v) = (self.components[0].horizontal, self.components[0].vertical);
        let units_across = (self.frame.width as usize).div_ceil(8 * h_max);
        let mut raster = vec![0; width * height];
        for (i, &mean) in means.iter().enumerate() {
            let (unit, block) = (i / (h * v), i % (h * v));
            let x = unit % units_across * h + block % h;
            let y = unit / units_across * v + block / h;
            if x < width && y < height {
                raster[y * width + x] = mean;
            }
        }
        Eighth {
            width,
            height,
            means: raster,
        }
    }
}
