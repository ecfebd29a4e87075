//! Quantisation tables, and what else decides how samples are to be understood.

use super::frame::{Component, Scanner};
use super::{Defect, broken};

/// What the segments before a scan say of its samples.
#[derive(Default)]
pub(super) struct Quantisation {
    /// By number, in zigzag order.
    tables: [Option<[u16; 64]>; 4],
    /// The colour transform of an Adobe segment.
    adobe: Option<u8>,
}

impl Quantisation {
    /// Reads a DQT segment, which may define several tables (B.2.4.1).
    pub(super) fn define(&mut self, mut body: &[u8]) -> Result<(), Defect> {
        while let Some((&precision_id, rest)) = body.split_first() {
            let wide = precision_id >> 4;
            let Some(slot) = self.tables.get_mut(usize::from(precision_id & 15)) else {
                return broken("a quantisation table has a number above 3");
            };
            let length = match wide {
                0 => 64,
                1 => 128,
                _ => return broken("a quantisation table has neither 8 nor 16 bits"),
            };
            let Some((values, rest)) = rest.split_at_checked(length) else {
                return broken("a quantisation table is too short");
            };
            *slot = Some(std::array::from_fn(|i| match wide {
                0 => u16::from(values[i]),
                _ => u16::from_be_bytes([values[2 * i], values[2 * i + 1]]),
            }));
            body = rest;
        }
        Ok(())
    }

    /// Notes the colour transform of an APP14 segment, if it is Adobe's.
    pub(super) fn adobe(&mut self, body: &[u8]) {
        if let [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..] = body {
            self.adobe = Some(*transform);
        }
    }

    /// Whether three components are Y, Cb and Cr, as JFIF has them.
    pub(super) fn is_ycc(&self, scanner: &Scanner) -> bool {
        let rgb = scanner.components.iter().map(|c| c.id).eq(*b"RGB");
        !rgb && self.adobe.is_none_or(|transform| transform == 1)
    }

    /// The table of a component; none where its values have more than eight bits.
    pub(super) fn table(&self, component: &Component) -> Result<Option<&[u16; 64]>, Defect> {
        match self.tables.get(component.quantisation) {
            Some(Some(table)) => Ok(table.iter().all(|&value| value < 256).then_some(table)),
            _ => broken("a component's quantisation table is not defined"),
        }
    }
}
