//! The frame and its scans: which components there are, how they are divided into blocks and coding units, and in what
//! order the stretches of entropy-coded data bring them (annex A of T.81).

use super::defect::{Defect, broken, truncated};
use super::entropy::stretch::{Block, Stretch, walk_stretch};
use super::entropy::tables::Tables;
use super::markers::{EOI, JPEG_LS, unstuff};
use crate::dc_image::DcImage;

/// What the frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Width, pixels, at least 1.
    pub(crate) width: u32,
    /// Height, pixels, at least 1.
    pub(crate) height: u32,
    /// Components: 1 is grey, 3 is colour, 4 is CMYK or YCCK.
    pub(crate) components: u8,
    /// Whether all coefficients are there before any can be transformed.
    pub(crate) progressive: bool,
    /// Samples that are coded, of all components.
    pub(crate) samples: u64,
    /// Whether each component is as large as the picture, or smaller by a power of two.
    pub(crate) by_halves: bool,
}

/// One component of the frame.
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
    /// Number of its quantisation table.
    pub(super) quantisation: usize,
    /// Whether a scan has coded it.
    pub(super) seen: bool,
}

/// The frame, and which of its components have been walked.
pub(super) struct Scanner {
    pub(super) frame: Frame,
    pub(super) components: Vec<Component>,
}

/// A component within a scan: its index in the frame, its DC and its AC table.
pub(super) type ScanComponent = (usize, usize, usize);

/// What reads one stretch: see [`Scanner::each_stretch`].
pub(super) type ReadStretch<'a> = dyn FnMut(usize, usize, &[u8]) -> Result<Stretch, Defect> + 'a;

/// So many bytes behind the last unit of a stretch may be an encoder's padding. More are what fills a cut file up.
const SPARE: usize = 4;

/// The most blocks that a coding unit may have (B.2.3).
const LARGEST_UNIT: usize = 10;

/// Reads a frame header (B.2.2).
pub(super) fn parse_frame(marker: u8, body: &[u8]) -> Result<Scanner, Defect> {
    let &[precision, y1, y0, x1, x0, n, ref rest @ ..] = body else {
        return broken("the frame header is too short");
    };
    let process = match marker {
        0xc0..=0xc2 => "",
        0xc3 => "lossless JPEG",
        0xc9 | 0xca => "JPEG with arithmetic coding",
        0xcb => "lossless JPEG with arithmetic coding",
        JPEG_LS => "JPEG-LS",
        _ => "hierarchical JPEG",
    };
    if !process.is_empty() {
        return broken(format!("{process} is not supported"));
    }
    if precision != 8 {
        return broken(format!(
            "JPEG of {precision} bits a sample is not supported"
        ));
    }
    let frame = Frame {
        width: u32::from(u16::from_be_bytes([x1, x0])),
        height: u32::from(u16::from_be_bytes([y1, y0])),
        components: n,
        progressive: marker == 0xc2,
        samples: 0,
        by_halves: true,
    };
    if frame.width == 0 || frame.height == 0 {
        return broken(format!(
            "the frame is {} × {} pixels",
            frame.width, frame.height
        ));
    }
    if !matches!(n, 1 | 3 | 4) {
        return broken(format!("the frame has {n} components"));
    }
    if rest.len() != 3 * usize::from(n) {
        return broken("the frame header is not as long as its components need");
    }
    let components: Vec<Component> = rest
        .chunks_exact(3)
        .take(usize::from(n))
        .map(|component| Component {
            id: component[0],
            horizontal: usize::from(component[1] >> 4),
            vertical: usize::from(component[1] & 15),
            quantisation: usize::from(component[2]),
            seen: false,
        })
        .collect();
    for component in &components {
        if !(1..=4).contains(&component.horizontal) || !(1..=4).contains(&component.vertical) {
            return broken("a component's sampling factor is not 1 to 4");
        }
    }
    let mut scanner = Scanner { frame, components };
    let (h_max, v_max) = scanner.largest_factors();
    for component in &scanner.components {
        let (h, v) = (component.horizontal, component.vertical);
        if h_max % h != 0 || v_max % v != 0 {
            return broken(format!(
                "sampling of {h} × {v} beside {h_max} × {v_max} is not supported"
            ));
        }
    }
    let units =
        (frame.width as usize).div_ceil(8 * h_max) * (frame.height as usize).div_ceil(8 * v_max);
    let blocks_of = scanner.components.iter().map(|c| c.horizontal * c.vertical);
    scanner.frame.samples = (units * blocks_of.sum::<usize>() * 64) as u64;
    Ok(scanner)
}

impl Scanner {
    /// Reads which components a scan has, and by which tables they are coded (B.2.3). Returns what a progressive scan brings,
    /// too: first and last coefficient, highest and lowest bit.
    pub(super) fn scan_components(
        &self,
        body: &[u8],
    ) -> Result<(Vec<ScanComponent>, [u8; 3]), Defect> {
        let n = usize::from(body.first().copied().unwrap_or(0));
        if body.len() != 4 + 2 * n || !(1..=4).contains(&n) {
            return broken("the scan header is not as long as its components need");
        }
        let (selectors, brings) = (&body[1..1 + 2 * n], [1, 2, 3].map(|i| body[2 * n + i]));
        let mut scan = Vec::with_capacity(n);
        let mut next = 0;
        for selector in selectors.chunks_exact(2) {
            let found = (self.components.iter().skip(next)).position(|c| c.id == selector[0]);
            let Some(found) = found else {
                return broken("a scan's components are not the frame's, in the frame's order");
            };
            let (dc, ac) = (selector[1] >> 4, selector[1] & 15);
            scan.push((next + found, usize::from(dc), usize::from(ac)));
            next += found + 1;
        }
        let blocks = scan.iter().map(|entry| &self.components[entry.0]);
        let blocks: usize = blocks.map(|c| c.horizontal * c.vertical).sum();
        if n > 1 && blocks > LARGEST_UNIT {
            return broken(format!(
                "a coding unit has {blocks} blocks; at most {LARGEST_UNIT} are allowed"
            ));
        }
        Ok((scan, brings))
    }

    /// Reads the header of a sequential scan.
    pub(super) fn begin(&mut self, body: &[u8]) -> Result<Vec<ScanComponent>, Defect> {
        let (scan, _) = self.scan_components(body)?;
        for &(index, ..) in &scan {
            if std::mem::replace(&mut self.components[index].seen, true) {
                return broken("a component is coded twice");
            }
        }
        Ok(scan)
    }

    /// Walks the scan's entropy-coded data, which begin at `at`, and returns where they end. `means` are the DC coefficients of
    /// the frame's first component, or of all that the scan has, in the order of the file.
    pub(super) fn walk(
        &self,
        (scan, all): (&[ScanComponent], bool),
        tables: &mut Tables,
        bytes: &[u8],
        at: usize,
        unstuffed: &mut Vec<u8>,
        means: &mut Vec<i32>,
    ) -> Result<usize, Defect> {
        let (units, blocks_of) = self.units(scan.iter().map(|component| component.0));
        let pairs = (scan.iter())
            .map(|&(_, dc, ac)| tables.pair(dc, ac))
            .collect::<Result<Vec<_>, _>>()?;
        let mut blocks = Vec::new();
        let components = pairs.iter().zip(scan).zip(&blocks_of);
        for (component, ((pair, &(index, ..)), &n)) in components.enumerate() {
            let block = |_| Block {
                pair,
                component,
                wanted: all || index == 0,
            };
            blocks.extend((0..n).map(block));
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
    /// where they end. `read` is told how many units came before, how many the stretch should hold, and its
    /// bytes with [`super::markers::PADDING`] zeros behind.
    pub(super) fn each_stretch(
        &self,
        units: usize,
        tables: &Tables,
        bytes: &[u8],
        mut at: usize,
        unstuffed: &mut Vec<u8>,
        read: &mut ReadStretch<'_>,
    ) -> Result<usize, Defect> {
        let (ends, of) = match self.frame.progressive {
            false => ("the data end", ""),
            true => ("a scan ends", " of a scan"),
        };
        let (mut done, mut restarts) = (0, 0);
        loop {
            let end = unstuff(bytes, at, unstuffed);
            let wanted = match tables.restart {
                0 => units - done,
                interval => interval.min(units - done),
            };
            let Stretch { whole, left } = read(done, wanted, unstuffed)?;
            done += whole;
            let marker = bytes.get(end + 1).copied();
            // Zeros are codes, too: what fills a cut file up makes units of its own, and is not used up by them.
            if whole == wanted && left > if marker.is_some() { SPARE } else { 0 } {
                let text = format!("{left} bytes follow coding unit {done} of {units}");
                return match done == units {
                    true => truncated(text + ", the last"),
                    false => broken(text + ", the last before a restart marker"),
                };
            }
            if done == units {
                return Ok(end);
            }
            match marker {
                Some(found @ 0xd0..=0xd7) if whole == wanted => {
                    let expected = 0xd0 + restarts;
                    if found != expected {
                        return broken(format!(
                            "restart marker 0x{found:02x} stands where 0x{expected:02x} belongs"
                        ));
                    }
                    restarts = (restarts + 1) % 8;
                    at = end + 2;
                }
                None | Some(EOI) => {
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
    pub(super) fn units(&self, scan: impl ExactSizeIterator<Item = usize>) -> (usize, Vec<usize>) {
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
    pub(super) fn largest_factors(&self) -> (usize, usize) {
        let h_max = self.components.iter().map(|c| c.horizontal).max();
        let v_max = self.components.iter().map(|c| c.vertical).max();
        (h_max.unwrap_or(1), v_max.unwrap_or(1))
    }

    /// How many blocks a component has, across and down, those that only fill a unit up not counted.
    pub(super) fn blocks(&self, index: usize) -> (usize, usize) {
        let (h_max, v_max) = self.largest_factors();
        let c = &self.components[index];
        let across = (self.frame.width as usize * c.horizontal).div_ceil(h_max);
        let down = (self.frame.height as usize * c.vertical).div_ceil(v_max);
        (across.div_ceil(8), down.div_ceil(8))
    }

    /// The DC coefficients of the scan's components as [`Scanner::walk`] found them, in rows: of the frame's first, or of all.
    pub(super) fn rasters(
        &self,
        (scan, all): (&[ScanComponent], bool),
        means: &[i32],
    ) -> Vec<(usize, DcImage)> {
        let found = scan.iter().map(|component| component.0);
        let found: Vec<usize> = found.filter(|&index| all || index == 0).collect();
        let factors = |index: usize| match scan.len() {
            // A unit of a scan that is not interleaved is a block.
            1 => (1, 1),
            _ => (
                self.components[index].horizontal,
                self.components[index].vertical,
            ),
        };
        let blocks = |index: usize| {
            let (h, v) = factors(index);
            h * v
        };
        let of_unit: usize = found.iter().map(|&index| blocks(index)).sum();
        let (h_max, _) = self.largest_factors();
        let mut before = 0;
        let raster = |index: usize| {
            let (width, height) = self.blocks(index);
            let units_across = match scan.len() {
                1 => width,
                _ => (self.frame.width as usize).div_ceil(8 * h_max),
            };
            let (h, v) = factors(index);
            let mut raster = vec![0; width * height];
            for (unit, means) in means.chunks_exact(of_unit).enumerate() {
                let (left, top) = (unit % units_across * h, unit / units_across * v);
                for (block, &mean) in means[before..before + h * v].iter().enumerate() {
                    let (x, y) = (left + block % h, top + block / h);
                    if x < width && y < height {
                        raster[y * width + x] = mean;
                    }
                }
            }
            before += h * v;
            let means = raster;
            let image = DcImage {
                width,
                height,
                means,
            };
            (index, image)
        };
        found.into_iter().map(raster).collect()
    }
}
