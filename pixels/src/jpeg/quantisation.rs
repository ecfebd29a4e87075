//! Quantisation tables, and what else decides how samples are to be understood.

use super::defect::{Defect, broken};
use super::frame::{Component, Scanner};
use super::samples::Colors;

/// What the segments before a scan say of its samples.
#[derive(Default)]
pub(super) struct Quantisation {
    /// By number, in zigzag order.
    tables: [Option<[u16; 64]>; 4],
    /// Whether there is a JFIF segment.
    jfif: bool,
    /// The colour transform of an Adobe segment.
    adobe: Option<u8>,
}

impl Quantisation {
    /// Reads a DQT segment, which may define several tables (B.2.4.1).
    pub(super) fn define(&mut self, mut body: &[u8]) -> Result<(), Defect> {
        while let Some((&precision_id, rest)) = body.split_first() {
            let wide = precision_id >> 4 != 0;
            let split = rest.split_at_checked(if wide { 128 } else { 64 });
            let slot = self.tables.get_mut(usize::from(precision_id & 15));
            let (Some(slot), Some((values, rest)), 0 | 1) = (slot, split, precision_id >> 4) else {
                return broken("a quantisation table is malformed");
            };
            *slot = Some(std::array::from_fn(|i| match wide {
                false => u16::from(values[i]),
                true => u16::from_be_bytes([values[2 * i], values[2 * i + 1]]),
            }));
            body = rest;
        }
        Ok(())
    }

    /// Notes an APP0 segment, if it is JFIF's.
    pub(super) fn jfif(&mut self, body: &[u8]) {
        self.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0");
    }

    /// Notes the colour transform of an APP14 segment, if it is Adobe's.
    pub(super) fn adobe(&mut self, body: &[u8]) {
        if body.starts_with(b"Adobe") {
            self.adobe = body.get(11).copied().or(self.adobe);
        }
    }

    /// What the components mean, by libjpeg's rules (`default_decompress_parms`): JFIF before Adobe before component ids.
    pub(super) fn colors(&self, scanner: &Scanner) -> Colors {
        let rgb = scanner.components.iter().map(|c| c.id).eq(*b"RGB");
        match (scanner.components.len(), self.adobe) {
            (1, _) => Colors::Grey,
            (4, None | Some(0)) => Colors::Cmyk,
            (4, _) => Colors::Ycck,
            (_, _) if self.jfif => Colors::Ycc,
            (_, Some(0)) => Colors::Rgb,
            (_, None) if rgb => Colors::Rgb,
            _ => Colors::Ycc,
        }
    }

    /// The table of a component.
    ///
    /// # Errors
    /// [`Defect::Broken`] where it is not defined.
    pub(super) fn table(&self, component: &Component) -> Result<&[u16; 64], Defect> {
        let table = self.tables.get(component.quantisation);
        match table.and_then(Option::as_ref) {
            Some(table) => Ok(table),
            None => broken("a component's quantisation table is not defined"),
        }
    }
}
