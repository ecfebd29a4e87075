//! The search against comparing all with all, on hashes as they come and as they are worst.

use std::collections::BTreeSet;

use super::*;

/// A reproducible sequence of numbers.
pub(crate) fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Kinds of hashes: without order; in clusters; all alike in most bits, so that every band is crowded; few bits set.
fn hashes(kind: usize, n: usize, next: &mut impl FnMut() -> u64) -> Vec<u64> {
    let mut hashes: Vec<u64> = Vec::new();
    for i in 0..n {
        let random = match kind {
            2 => next() & 0x0000_0f0f_0fff_0000,
            3 => next() & next() & next() & next() & next(),
            4 => next() & 0xffff,
            _ => next(),
        };
        let near = kind > 0 && i % 3 > 0;
        let mut hash = match hashes.last() {
            Some(&last) if near => last,
            _ => random,
        };
        for _ in 0..next() % 7 * u64::from(near) {
            hash ^= 1 << (next() % 64);
        }
        hashes.push(hash);
    }
    hashes
}

fn all_pairs(hashes: &[u64], radius: u32) -> Vec<(usize, usize, u32)> {
    let mut pairs = Vec::new();
    for (a, x) in hashes.iter().enumerate() {
        for (b, y) in hashes.iter().enumerate().skip(a + 1) {
            let distance = (x ^ y).count_ones();
            if distance <= radius {
                pairs.push((a, b, distance));
            }
        }
    }
    pairs
}

#[test]
fn pairs_are_those_that_comparing_all_with_all_finds() {
    let mut next = numbers(1);
    for kind in 0..5 {
        let different: BTreeSet<u64> = hashes(kind, 1500, &mut next).into_iter().collect();
        let different: Vec<u64> = different.into_iter().collect();
        for radius in [0, 1, 3, 4, 7, 8, 11] {
            let mut found = Vec::new();
            pairs_within(&different, radius, &mut |a, b, distance| {
                found.push((a, b, distance));
            });
            found.sort_unstable();
            let expected = all_pairs(&different, radius);
            assert_eq!(found, expected, "kind {kind}, radius {radius}");
            assert!(kind == 0 || radius < 7 || expected.len() > 300);
        }
    }
}

#[test]
fn groups_are_those_that_all_pairs_connect() {
    let mut next = numbers(2);
    for kind in 0..5 {
        let mut all = hashes(kind, 1200, &mut next);
        // Equal hashes, too.
        all.extend_from_within(..40);
        for radius in [0, 1, 3, 4, 7, 8, 11] {
            let mut connected = Partition::of(all.len());
            for (a, b, _) in all_pairs(&all, radius) {
                connected.join(a, b);
            }
            let expected = connected.groups();
            assert!(!expected.is_empty());
            assert_eq!(groups_within(&all, radius), expected, "{kind}, {radius}");
        }
    }
    assert!(groups_within(&[], 8).is_empty() && groups_within(&[7], 8).is_empty());
    assert_eq!(groups_within(&[7, 7], 0), [[0, 1]]);
}

/// Groups of a full set against a sample of images compared with all: whatever is near an image is in its group.
fn holds(all: &[u64], radius: u32) -> Vec<Vec<usize>> {
    let groups = groups_within(all, radius);
    let mut group_of = vec![usize::MAX; all.len()];
    for (n, group) in groups.iter().enumerate() {
        group.iter().for_each(|&i| group_of[i] = n);
    }
    for (a, x) in all.iter().enumerate().step_by(997) {
        let mut alone = true;
        for (b, y) in all.iter().enumerate() {
            if a != b && (x ^ y).count_ones() <= radius {
                assert_eq!(group_of[a], group_of[b], "{a} and {b}");
                alone = false;
            }
        }
        assert_eq!(alone, group_of[a] == usize::MAX, "{a}");
    }
    groups
}

#[test]
fn a_full_set_is_searched_even_where_it_is_crowded() {
    let mut next = numbers(3);
    let n = 151_000;
    // As they come, with copies: nearly all are alone.
    let mut spread: Vec<u64> = (0..n).map(|_| next()).collect();
    for i in (0..n).step_by(10) {
        spread[i] = spread[i / 2] ^ 1 << (next() % 64) ^ 1 << (next() % 64);
    }
    assert!(holds(&spread, SIMILAR).len() > 5000);
    // All within twenty bits, and all with few bits set: one crowd each. No search by pairs would end.
    let within: Vec<u64> = (0..n).map(|_| next() & 0xf_ffff).collect();
    assert_eq!(holds(&within, SIMILAR).len(), 1);
    let sparse: Vec<u64> = (0..20_000)
        .map(|_| next() & next() & next() & next() & next())
        .collect();
    holds(&sparse, SIMILAR);
    // Four hundred crowds.
    let centres: Vec<u64> = (0..400).map(|_| next()).collect();
    let crowds: Vec<u64> = (0..n)
        .map(|i| (0..2).fold(centres[i % 400], |hash, _| hash ^ 1 << (next() % 64)))
        .collect();
    assert_eq!(holds(&crowds, SIMILAR).len(), 400);
}
