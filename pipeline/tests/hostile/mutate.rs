//! Damage that any file can take.

/// SplitMix64.
pub struct Stream(u64);

impl Stream {
    /// The stream of one input.
    pub fn new(sort: u64, number: usize) -> Self {
        Self(sort << 48 | number as u64)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A range within `length`, at most `longest` long.
    pub fn range(&mut self, length: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(longest + 1)).min(length)
    }
}

/// Flips bits, cuts, splices, repeats, deletes or overwrites. `other` is a file to splice from.
pub fn damage(bytes: &mut Vec<u8>, other: &[u8], stream: &mut Stream) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match stream.below(8) {
        0 => {
            for _ in 0..1 + stream.below(8) {
                let at = stream.below(length);
                bytes[at] ^= 1 << stream.below(8);
            }
        }
        1 => {
            let at = stream.below(length);
            bytes[at] = *stream.pick(&[0, 1, 0x7f, 0x80, 0xfe, 0xff]);
        }
        2 => bytes.truncate(stream.below(length)),
        3 => {
            let piece = other[stream.range(other.len(), 400)].to_vec();
            let place = stream.range(length, 400);
            bytes.splice(place, piece);
        }
        4 => {
            let piece = bytes[stream.range(length, 600)].repeat(1 + stream.below(4));
            let to = stream.below(length);
            bytes.splice(to..to, piece);
        }
        5 => drop(bytes.drain(stream.range(length, 200))),
        6 => {
            // A length or a size that lies.
            let lie = *stream.pick(&[0u32, 1, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
            let at = stream.below(length);
            let n = (*stream.pick(&[2, 4])).min(length - at);
            let lie = match stream.below(2) {
                0 => lie.to_be_bytes(),
                _ => lie.to_le_bytes(),
            };
            bytes[at..at + n].copy_from_slice(&lie[4 - n..]);
        }
        _ => {
            let place = stream.range(length, 300);
            let fill = *stream.pick(&[0, 0xff, 0x55]);
            bytes[place].fill(fill);
        }
    }
}
