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
    pub(in crate::jpeg) fn pair(&mut self, dc: usize, ac: usize) -> Result<Rc<Pair>, Defect> {
        if !(has(&self.dc, dc) && has(&self.ac, ac)) {
            self.complete()?;
        }
        let dc = self.dc.get(dc).and_then(Option::as_deref);
        let ac = self.ac.get(ac).and_then(Option::as_deref);
        let (Some(dc), Some(ac)) = (dc, ac) else {
            return broken("a scan uses a Huffman table that is not defined");
        };
        Ok(Pair::of(dc, ac))
    }

    /// Sets the typical tables of annex K in place of those that are not defined: the frames of a Motion JPEG go without.
    fn complete(&mut self) -> Result<(), Defect> {
        let mut standard = Self::default();
        standard.define(&STANDARD)?;
        for (ours, typical) in [(&mut self.dc, standard.dc), (&mut self.ac, standard.ac)] {
            for (ours, typical) in ours.iter_mut().zip(typical) {
                *ours = ours.take().or(typical);
            }
        }
        Ok(())
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
            if class_id >> 4 == 0 && symbols.iter().any(|&size| size > 15) {
                return broken("a Huffman table has a DC difference of more than 15 bits");
            }
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

fn has(tables: &[Option<Box<Huffman>>; 4], number: usize) -> bool {
    tables.get(number).is_some_and(Option::is_some)
}

/// Tables K.3 to K.6, as a DHT segment has them: for luma, number 0, and for chroma, number 1.
const STANDARD: [u8; 416] = [
    0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 0,
    2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125, 1, 2, 3, 0, 4, 17, 5, 18, 33, 49, 65, 6, 19, 81,
    97, 7, 34, 113, 20, 50, 129, 145, 161, 8, 35, 66, 177, 193, 21, 82, 209, 240, 36, 51, 98, 114,
    130, 9, 10, 22, 23, 24, 25, 26, 37, 38, 39, 40, 41, 42, 52, 53, 54, 55, 56, 57, 58, 67, 68, 69,
    70, 71, 72, 73, 74, 83, 84, 85, 86, 87, 88, 89, 90, 99, 100, 101, 102, 103, 104, 105, 106, 115,
    116, 117, 118, 119, 120, 121, 122, 131, 132, 133, 134, 135, 136, 137, 138, 146, 147, 148, 149,
    150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170, 178, 179, 180, 181, 182,
    183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214, 215,
    216, 217, 218, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 241, 242, 243, 244, 245, 246,
    247, 248, 249, 250, 1, 0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7,
    8, 9, 10, 11, 17, 0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119, 0, 1, 2, 3, 17, 4, 5, 33,
    49, 6, 18, 65, 81, 7, 97, 113, 19, 34, 50, 129, 8, 20, 66, 145, 161, 177, 193, 9, 35, 51, 82,
    240, 21, 98, 114, 209, 10, 22, 36, 52, 225, 37, 241, 23, 24, 25, 26, 38, 39, 40, 41, 42, 53,
    54, 55, 56, 57, 58, 67, 68, 69, 70, 71, 72, 73, 74, 83, 84, 85, 86, 87, 88, 89, 90, 99, 100,
    101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 130, 131, 132, 133, 134,
    135, 136, 137, 138, 146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167,
    168, 169, 170, 178, 179, 180, 181, 182, 183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200,
    201, 202, 210, 211, 212, 213, 214, 215, 216, 217, 218, 226, 227, 228, 229, 230, 231, 232, 233,
    234, 242, 243, 244, 245, 246, 247, 248, 249, 250,
];
