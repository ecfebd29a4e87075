//! The Huffman tables and the restart interval that a file's segments define before a scan uses them.

use std::rc::Rc;

use super::huffman::Huffman;
use super::pair::Pair;
use crate::jpeg::defect::{Defect, broken};

/// The Huffman tables defined so far, and the restart interval.
#[derive(Default)]
pub(in crate::jpeg) struct Tables {
    pub(in crate::jpeg) dc: [Option<Box<Huffman>>; 4],
    pub(in crate::jpeg) ac: [Option<Box<Huffman>>; 4],
    /// Units between restart markers; 0 for none.
    pub(in crate::jpeg) restart: usize,
}

impl Tables {
    /// The DC and the AC table of these numbers, for a sequential scan.
    pub(in crate::jpeg) fn pair(&self, dc: usize, ac: usize) -> Result<Rc<Pair>, Defect> {
        let dc = self.dc.get(dc).and_then(Option::as_deref);
        let ac = self.ac.get(ac).and_then(Option::as_deref);
        let (Some(dc), Some(ac)) = (dc, ac) else {
            return broken("a scan uses a Huffman table that is not defined");
        };
        Ok(Pair::of(dc, ac))
    }

    /// Reads a DHT segment, which may define several tables (B.2.4.2).
    pub(in crate::jpeg) fn define(&mut self, mut body: &[u8]) -> Result<(), Defect> {
        while let Some((&class_id, rest)) = body.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return broken("a Huffman table is too short");
            };
            let n = counts
                .iter()
                .map(|&count| usize::from(count))
                .sum::<usize>();
            let (true, Some(symbols)) = (n <= 256, rest.get(..n)) else {
                return broken("a Huffman table is too short");
            };
            let classes = match class_id >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return broken("a Huffman table is neither for DC nor for AC"),
            };
            let Some(slot) = classes.get_mut(usize::from(class_id & 15)) else {
                return broken("a Huffman table has a number above 3");
            };
            *slot = Some(Box::new(Huffman::new(counts, symbols)?));
            body = &rest[n..];
        }
        Ok(())
    }
}
