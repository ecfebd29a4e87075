//! Finds hashes that differ in few bits: every pair of them, or the groups that such pairs connect. Exact at any radius.
//!
//! Multi-index hashing (Norouzi et al., "Fast Search in Hamming Space with Multi-Index Hashing", 2012): cut into
//! `radius + 1` bands, two hashes that differ in at most `radius` bits agree in one band at least, so only hashes that share a
//! band are compared. Where many share one, what is left of them is cut again: only bits in which they differ count.
//!
//! Groups need no pair twice. Hashes that are of one group already are not compared, so that a crowd, all near each other,
//! costs as much as its members and not as its pairs.

use super::partition::Partition;

/// At most this many of 64 bits differ between two images that may look the same: that far apart have sequential JPEGs and
/// their progressive copies been seen.
pub const NEARLY_SAME: u32 = 4;

/// At most this many bits differ between two images that are similar.
pub const SIMILAR: u32 = 8;

/// Hashes that share a band are compared pair by pair up to this number.
const SMALL_GROUP: usize = 64;

/// A hash, and its place among those that are searched.
#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    place: u32,
}

/// What takes what is found.
trait Finds {
    /// Takes every pair of a group within the radius that agrees in none of the bands `earlier`.
    fn all(&mut self, group: &[Entry], radius: u32, earlier: &[u64]);

    /// Does with hashes that differ in these bits what can be done with them at once, and says whether that is all.
    fn at_once(&mut self, group: &[Entry], differ: u64, radius: u32) -> bool;
}

/// Calls `found` once with every pair of places (the smaller first) whose hashes differ in at most `radius` bits, and with that
/// number. The hashes are all different: equal ones are one.
pub fn pairs_within(hashes: &[u64], radius: u32, found: &mut dyn FnMut(usize, usize, u32)) {
    struct Pairs<'a>(&'a mut dyn FnMut(usize, usize, u32));
    impl Finds for Pairs<'_> {
        fn all(&mut self, group: &[Entry], radius: u32, earlier: &[u64]) {
            each_pair(group, radius, earlier, |a, b, distance| {
                let (a, b) = (a.place.min(b.place), a.place.max(b.place));
                (self.0)(a as usize, b as usize, distance);
            });
        }

        fn at_once(&mut self, _: &[Entry], _: u64, _: u32) -> bool {
            false
        }
    }
    search(hashes, radius, &mut Pairs(found));
}

/// The groups of places that pairs of hashes connect which differ in at most `radius` bits: all groups of two and more, each
/// sorted, by their first place. Hashes may be equal.
pub fn groups_within(hashes: &[u64], radius: u32) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_unstable_by_key(|&i| (hashes[i], i));
    let mut groups = Partition::of(hashes.len());
    let (mut distinct, mut first) = (Vec::new(), Vec::new());
    for equal in order.chunk_by(|&a, &b| hashes[a] == hashes[b]) {
        distinct.push(hashes[equal[0]]);
        first.push(equal[0] as u32);
        equal.iter().for_each(|&i| groups.join(equal[0], i));
    }
    // What a small radius connects, for little, a larger one need not compare.
    let smaller = std::iter::successors(Some(radius), |&r| (r > 1).then_some(r / 2));
    let mut radii: Vec<u32> = smaller.collect();
    radii.reverse();
    let mut found = Groups { first, groups };
    for radius in radii {
        search(&distinct, radius, &mut found);
    }
    found.groups.groups()
}

/// Hashes by groups, each named by its first place among all.
struct Groups {
    /// Of each different hash, the first place that has it.
    first: Vec<u32>,
    groups: Partition,
}

impl Groups {
    fn root(&mut self, entry: Entry) -> usize {
        self.groups.root(self.first[entry.place as usize] as usize)
    }

    fn join(&mut self, a: Entry, b: Entry) {
        let [a, b] = [a, b].map(|entry| self.first[entry.place as usize] as usize);
        self.groups.join(a, b);
    }

    /// The hashes by the groups that they are of already.
    fn known(&mut self, group: &[Entry]) -> Vec<(usize, Entry)> {
        let mut known = Vec::with_capacity(group.len());
        known.extend(group.iter().map(|&entry| (self.root(entry), entry)));
        known.sort_unstable_by_key(|&(root, entry)| (root, entry.place));
        known
    }

    /// Joins those of the known groups of which two hashes are near. One pair is enough for two groups.
    fn join_known(&mut self, known: &[(usize, Entry)], radius: u32) {
        let near = |a: Entry, b: Entry| (a.hash ^ b.hash).count_ones() <= radius;
        let mut known: Vec<&[(usize, Entry)]> = known.chunk_by(|a, b| a.0 == b.0).collect();
        known.sort_by_key(|entries| std::cmp::Reverse(entries.len()));
        for (n, some) in known.iter().enumerate() {
            for others in &known[n + 1..] {
                let met = |&(_, a): &(usize, Entry)| others.iter().any(|&(_, b)| near(a, b));
                if self.root(some[0].1) != self.root(others[0].1) && some.iter().any(met) {
                    self.join(some[0].1, others[0].1);
                }
            }
        }
    }
}

impl Finds for Groups {
    fn all(&mut self, group: &[Entry], radius: u32, earlier: &[u64]) {
        if group.len() <= SMALL_GROUP {
            return each_pair(group, radius, earlier, |a, b, _| self.join(a, b));
        }
        let known = self.known(group);
        self.join_known(&known, radius);
    }

    fn at_once(&mut self, group: &[Entry], differ: u64, radius: u32) -> bool {
        if differ.count_ones() <= radius {
            group.iter().for_each(|&entry| self.join(group[0], entry));
            return true;
        }
        if group.len() <= SMALL_GROUP {
            return false;
        }
        let known = self.known(group);
        let largest = known.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).max();
        // Few that are not of the largest group are compared with all: cutting the largest would cost more.
        let few = group.len() - largest.unwrap_or(0) <= SMALL_GROUP;
        if few {
            self.join_known(&known, radius);
        }
        few
    }
}

fn search(hashes: &[u64], radius: u32, found: &mut impl Finds) {
    let mut entries: Vec<Entry> = (0..)
        .zip(hashes)
        .map(|(place, &hash)| Entry { hash, place })
        .collect();
    compare(&mut entries, radius, &mut Vec::new(), found);
}

/// Compares the hashes of a group. A pair that agrees in one of the bands `earlier` has been found there.
fn compare(group: &mut [Entry], radius: u32, earlier: &mut Vec<u64>, found: &mut impl Finds) {
    // A bit in which all agree tells none of them apart: a band of such bits would be the same group again.
    let (all, any) = group.iter().fold((u64::MAX, 0), |(all, any), entry| {
        (all & entry.hash, any | entry.hash)
    });
    let differ = any & !all;
    // Where all agree in an earlier band, all are found.
    let is_found = earlier.iter().any(|band| differ & band == 0);
    if group.len() < 2 || is_found || found.at_once(group, differ, radius) {
        return;
    }
    let parts = radius + 1;
    if group.len() <= SMALL_GROUP || differ.count_ones() < 2 * parts {
        return found.all(group, radius, earlier);
    }
    let known = earlier.len();
    let mut left = group.len() * group.len() / 2;
    for part in 0..parts {
        let band = band(differ, part, parts);
        group.sort_unstable_by_key(|entry| entry.hash & band);
        let same = |a: &Entry, b: &Entry| (a.hash ^ b.hash) & band == 0;
        let pairs: usize = group
            .chunk_by(same)
            .map(|same| same.len() * same.len())
            .sum();
        // Where bands tell too few apart, comparing all with all costs less: at most twice its cost is spent in all.
        if pairs > left {
            found.all(group, radius, earlier);
            break;
        }
        left -= pairs;
        for same in group.chunk_by_mut(same) {
            compare(same, radius, earlier, found);
        }
        earlier.push(band);
    }
    earlier.truncate(known);
}

/// Every pair of a group within the radius that agrees in none of the bands.
fn each_pair(
    group: &[Entry],
    radius: u32,
    earlier: &[u64],
    mut found: impl FnMut(Entry, Entry, u32),
) {
    for (n, &a) in group.iter().enumerate() {
        for &b in &group[n + 1..] {
            let differ = a.hash ^ b.hash;
            let distance = differ.count_ones();
            if distance <= radius && earlier.iter().all(|band| differ & band != 0) {
                found(a, b, distance);
            }
        }
    }
}

/// Part `part` of `parts` of the bits that are set, in their order.
fn band(bits: u64, part: u32, parts: u32) -> u64 {
    let n = bits.count_ones();
    let (begin, end) = (part * n / parts, (part + 1) * n / parts);
    let (mut left, mut band) = (bits, 0);
    for i in 0..end {
        let lowest = left & left.wrapping_neg();
        left ^= lowest;
        if i >= begin {
            band |= lowest;
        }
    }
    band
}

#[cfg(test)]
pub(crate) mod tests;
