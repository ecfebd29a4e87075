//! What one look finds, against reading a code, then its bits, then the next code.

use super::super::stretch::Reader;
use super::super::tables::Tables;
use super::*;

/// Tables with codes of all lengths: long ones are open, short ones known with the end of the block.
fn tables(ac: &[u8], counts: [u8; 16]) -> Tables {
    let mut tables = Tables::default();
    let dc_counts = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
    let dc: Vec<u8> = (0..12).collect();
    let segment = [&[0x00][..], &dc_counts, &dc, &[0x10], &counts, ac].concat();
    tables.define(&segment).unwrap();
    tables
}

/// Bit by bit, as F.2.2 says it: the coefficients of a block.
fn slow_block(pair: &Pair, window: &mut impl FnMut(usize) -> u64) -> Option<Vec<i32>> {
    let value = |length: usize, size: usize, window: &mut dyn FnMut(usize) -> u64| {
        window(length);
        let value = if size == 0 {
            0
        } else {
            (window(0) >> (64 - size)) as i32
        };
        window(size);
        match size {
            0 => 0,
            _ if value < 1 << (size - 1) => value - (1 << size) + 1,
            _ => value,
        }
    };
    let (length, size) = pair.dc.symbol(window(0))?;
    let mut block = vec![value(length, size, window)];
    while block.len() < 64 {
        let (length, symbol) = pair.ac.symbol(window(0))?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => {
                window(length);
                block.extend([0; 16]);
            }
            (_, 0) => {
                window(length);
                break;
            }
            (run, size) => {
                block.extend(vec![0; run]);
                block.push(value(length, size, window));
            }
        }
    }
    Some(block)
}

#[test]
fn one_look_finds_what_reading_code_by_code_finds() {
    // End of block, small values, long runs, ZRL; then codes longer than are looked up.
    let symbols = [
        0x01, 0x00, 0x02, 0x11, 0x03, 0x21, 0x12, 0xf0, 0x31, 0x04, 0xe1, 0x05, 0x06, 0x0a, 0x71,
        0xd2,
    ];
    let counts = [0, 2, 1, 2, 1, 2, 0, 2, 0, 1, 1, 1, 1, 1, 0, 1];
    let mut tables = tables(&symbols, counts);
    let pair = tables.pair(0, 0).unwrap();
    let mut state = 7u64;
    let (mut blocks, mut full) = (0, 0);
    for round in 0..3000u32 {
        let mut bytes: Vec<u8> = (0..200)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let byte = |shift: u32| (state >> shift) as u8;
                // Few ones: short codes, and so blocks that fill up.
                match round % 2 {
                    0 => byte(56) & byte(48) & byte(40) & byte(32) & byte(24),
                    _ => byte(40),
                }
            })
            .collect();
        bytes.extend([0; 16]);
        let mut at = 0;
        let mut window = |n: usize| -> u64 {
            at += n;
            let mut eight = [0; 9];
            let rest = bytes.get(at / 8..).unwrap_or_default();
            let n = rest.len().min(9);
            eight[..n].copy_from_slice(&rest[..n]);
            let eight = eight
                .iter()
                .fold(0u128, |sum, &byte| sum << 8 | u128::from(byte));
            (eight << (56 + at % 8) >> 64) as u64
        };
        let mut reader = Reader::new(&bytes);
        // Two blocks at least: the second begins where the first ends.
        for _ in 0..4 {
            let slow = slow_block(&pair, &mut window);
            let fast = (|| {
                let (dc, mut ends) = reader.first(&pair).ok()??;
                let (mut block, mut k) = (vec![dc], 1);
                while !ends {
                    let (value, end) = reader.rest(&pair, &mut k).ok()??;
                    block.resize(k - 1, 0);
                    block.push(value);
                    ends = end;
                }
                Some(block)
            })();
            let (Some(mut slow), Some(mut fast)) = (slow, fast) else {
                break;
            };
            full += usize::from(slow.len() == 64);
            let n = slow.len().max(fast.len());
            slow.resize(n, 0);
            fast.resize(n, 0);
            assert_eq!(slow, fast, "round {round}");
            blocks += 1;
        }
    }
    assert!(
        blocks > 2000 && full > 20,
        "{blocks} blocks, {full} of them full"
    );
}
