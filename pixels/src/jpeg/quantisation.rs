//! Quantisation tables, and what else decides how samples are to be understood.

use super::frame::{Component, Scanner};

/// What the segments before a scan say of its samples.
#[derive(Default)]
pub(super) struct Quantisation {
    /// By number, in zigzag order.
    tables: [Option<[u16; 64]>; 4],
    /// The colour transform of an Adobe segment.
    adobe: Option<u8>,
}

impl Quantisation {
    /// Reads a DQT segment, which may define several tables (B.2.4.1). One that is malformed leaves no table at all: the
    /// library is to judge it.
    pub(super) fn define(&mut self, body: &[u8]) {
        if self.read(body).is_none() {
            self.tables = Default::default();
        }
    }

    fn read(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&precision_id, rest)) = body.split_first() {
            let slot = self.tables.get_mut(usize::from(precision_id & 15))?;
            let (values, rest) = match precision_id >> 4 {
                0 => rest.split_at_checked(64)?,
                1 => rest.split_at_checked(128)?,
                _ => return None,
            };
            let wide = values.len() == 128;
            *slot = Some(std::array::from_fn(|i| match wide {
                false => u16::from(values[i]),
                true => u16::from_be_bytes([values[2 * i], values[2 * i + 1]]),
            }));
            body = rest;
        }
        Some(())
    }

    /// Notes the colour transform of an APP14 segment, if it is Adobe's.
    pub(super) fn adobe(&mut self, body: &[u8]) {
        if let [
            b'A',
            b'd',
            b'o',
            b'b',
            b'e',
            _,
            _,
            _,
            _,
            _,
            _,
            transform,
            ..,
        ] = body
        {
            self.adobe = Some(*transform);
        }
    }

    /// Whether three components are Y, Cb and Cr, as JFIF has them.
    pub(super) fn is_ycc(&self, scanner: &Scanner) -> bool {
        let rgb = scanner.components.iter().map(|c| c.id).eq(*b"RGB");
        !rgb && self.adobe.is_none_or(|transform| transform == 1)
    }

    /// The table of a component; none where it is not defined, or its values have more than eight bits.
    pub(super) fn table(&self, component: &Component) -> Option<&[u16; 64]> {
        let table = self.tables.get(component.quantisation)?.as_ref()?;
        table.iter().all(|&value| value < 256).then_some(table)
    }
}
