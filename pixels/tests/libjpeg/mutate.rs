//! Damage to JPEGs that knows their segments: most of it leaves something to decode.

use std::ops::Range;

/// SplitMix64.
pub struct Stream(u64);

impl Stream {
    /// The stream of one input.
    pub fn new(number: usize) -> Self {
        Self(number as u64)
    }

    /// A number below `n`, which is not 0.
    fn below(&mut self, n: usize) -> usize {
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
}

/// Every segment after the start marker: its marker, and the bytes from its 0xff on; a scan's data belong to its header.
fn segments(bytes: &[u8]) -> Vec<(u8, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4).and_then(<[u8]>::first_chunk)
    {
        let mut end = at + 2 + usize::from(high) * 256 + usize::from(low);
        if marker == 0xda {
            let is_marker = |two: &[u8]| two[0] == 0xff && !matches!(two[1], 0 | 0xd0..=0xd7);
            let data = bytes.get(end..).unwrap_or_default();
            end += (data.windows(2).position(is_marker)).unwrap_or(data.len());
        }
        if end > bytes.len() {
            break;
        }
        found.push((marker, at..end));
        at = end;
    }
    found
}

/// A damaged file.
pub fn mutant(sources: &[Vec<u8>], number: usize) -> Vec<u8> {
    let mut stream = Stream::new(number);
    let mut bytes = stream.pick(sources).clone();
    for _ in 0..1 + stream.below(3) {
        damage(&mut bytes, sources, &mut stream);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, sources: &[Vec<u8>], stream: &mut Stream) {
    let segments = segments(bytes);
    if segments.is_empty() {
        return;
    }
    let (marker, place) = stream.pick(&segments).clone();
    let starts_at = |bytes: &[u8], at: usize| bytes[at] == 0xff;
    match stream.below(14) {
        0 => {
            for _ in 0..1 + stream.below(8) {
                let at = stream.below(bytes.len());
                bytes[at] ^= 1 << stream.below(8);
            }
        }
        1 => bytes.truncate(stream.below(bytes.len())),
        2 => {
            // A download cut short and filled up.
            let cut = stream.below(bytes.len());
            bytes[cut..].fill(*stream.pick(&[0, 0, 0xff, 0x55]));
            bytes.extend(*stream.pick(&[&[][..], &[0xff, 0xd9], &[0; 64]]));
        }
        3..=5 => {
            // Within a segment's head.
            let length = place.len().min(if marker == 0xda { 14 } else { 80 });
            for _ in 0..1 + stream.below(3) {
                let at = place.start + 2 + stream.below(length.saturating_sub(2).max(1));
                bytes[at] = match stream.below(4) {
                    0 => bytes[at].wrapping_add(1),
                    1 => bytes[at].wrapping_sub(1),
                    2 => bytes[at] ^ 1 << stream.below(8),
                    _ => *stream.pick(&[0, 1, 2, 3, 0x10, 0x11, 0x3f, 0x40, 0x80, 0xff]),
                };
            }
        }
        6 => drop(bytes.drain(place)),
        7 => {
            let copy = bytes[place].to_vec();
            let to = stream.pick(&segments).1.start;
            bytes.splice(to..to, copy);
        }
        8 => {
            let other = stream.pick(sources);
            let (_, from) = stream.pick(&self::segments(other)).clone();
            let piece = other[from].to_vec();
            match stream.below(2) {
                0 => drop(bytes.splice(place, piece)),
                _ => drop(bytes.splice(place.start..place.start, piece)),
            }
        }
        9 => {
            let interval = *stream.pick(&[0, 1, 2, 3, 5, 200]);
            let new = [0xff, 0xdd, 0, 4, 0, interval];
            bytes.splice(place.start..place.start, new);
        }
        10 => {
            // A restart marker more, less, or of another number.
            let is_restart =
                |&at: &usize| starts_at(bytes, at) && (0xd0..=0xd7).contains(&bytes[at + 1]);
            let restarts: Vec<usize> = (2..bytes.len() - 1).filter(is_restart).collect();
            let number = 0xd0 + stream.below(8) as u8;
            if restarts.is_empty() || stream.below(3) == 0 {
                let at = stream.below(bytes.len());
                bytes.splice(at..at, [0xff, number]);
            } else {
                let at = *stream.pick(&restarts);
                match stream.below(2) {
                    0 => drop(bytes.drain(at..at + 2)),
                    _ => bytes[at + 1] = number,
                }
            }
        }
        11 => {
            // The frame: process, size, sampling, table numbers.
            let Some((_, frame)) = segments.iter().find(|(m, _)| (0xc0..=0xc2).contains(m)) else {
                return;
            };
            let at = frame.start;
            match stream.below(4) {
                0 => bytes[at + 1] = *stream.pick(&[0xc0, 0xc1, 0xc2, 0xc9]),
                1 => {
                    bytes[at + 6] = 1 + stream.below(60) as u8;
                    bytes[at + 8] = 1 + stream.below(60) as u8;
                }
                _ => {
                    let component = 10 + 3 * stream.below((frame.len() - 10).div_ceil(3).max(1));
                    let sampling = [0x11, 0x11, 0x21, 0x12, 0x22, 0x41, 0x14, 0x31, 0x24, 0x44];
                    if let Some(byte) = bytes.get_mut(at + component + 1) {
                        *byte = *stream.pick(&sampling);
                    }
                }
            }
        }
        12 => {
            let fill = *stream.pick(&[&[0xff][..], &[0xff; 5], &[0], &[0; 3], &[0; 9], b"x"]);
            let at = *stream.pick(&[place.start, place.end]);
            bytes.splice(at..at, fill.iter().copied());
        }
        _ => {
            let segment = *stream.pick::<&[u8]>(&[
                &b"\xff\xe0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0"[..],
                b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0",
                b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x01",
                b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02",
                b"\xff\xee\0\x07Adobe",
                b"\xff\xfe\0\x04hi",
                b"\xff\xdc\0\x04\0\x10",
                b"\xff\xcc\0\x04\0\x10",
                b"\xff\xd8",
                b"\xff\x01",
            ]);
            bytes.splice(place.start..place.start, segment.iter().copied());
        }
    }
}
