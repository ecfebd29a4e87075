//! Where in a picture the logos are, found by looking at it through overlapping windows of several sizes.
//!
//! [`windows`] says where to look. Each window is embedded as a crop of its own, all in one batch. What reaches the threshold is a
//! finding, and of findings that overlap [`suppress`] keeps the most similar.

use logodex_schemas::gallery::Tiling;

/// A box in pixels of a picture: left, top, right, bottom, of which right and bottom are outside.
pub type Area = [u32; 4];

/// The windows on a picture of this size, squares, in the order of the sides asked for, the whole picture before all; none twice.
pub fn windows(width: u32, height: u32, tiling: &Tiling) -> Vec<Area> {
    let mut all = vec![[0, 0, width, height]];
    let shorter = width.min(height);
    for part in &tiling.sides {
        let side = (f64::from(shorter) * part).round() as u32;
        let side = side.clamp(tiling.least.min(shorter), shorter);
        for top in places(height, side, tiling.step) {
            for left in places(width, side, tiling.step) {
                let window = [left, top, left + side, top + side];
                if !all.contains(&window) {
                    all.push(window);
                }
            }
        }
    }
    all
}

/// Where along a side of `length` pixels windows of `size` begin: evenly, from end to end, no farther apart than `step` of
/// their size.
fn places(length: u32, size: u32, step: f64) -> impl Iterator<Item = u32> {
    let rest = length - size;
    let gaps = (f64::from(rest) / (f64::from(size) * step)).ceil().max(1.0) as u32;
    let gaps = if rest == 0 { 0 } else { gaps };
    (0..=gaps).map(move |i| (u64::from(rest) * u64::from(i) / u64::from(gaps.max(1))) as u32)
}

/// Intersection over union of two boxes.
pub fn overlap(a: &Area, b: &Area) -> f64 {
    let length = |low: usize| {
        let (from, to) = (a[low].max(b[low]), a[low + 2].min(b[low + 2]));
        f64::from(to.saturating_sub(from))
    };
    let area = |x: &Area| f64::from(x[2] - x[0]) * f64::from(x[3] - x[1]);
    let both = length(0) * length(1);
    let either = area(a) + area(b) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

/// Which of some boxes are kept, best first: each but those that overlap a better one by more than `most` (intersection over
/// union), or of which more than half lies in a better one or holds more than half of it if `nested` says so of the two.
pub fn suppress(
    boxes: &[(Area, f32)],
    most: f64,
    nested: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| boxes[b].1.total_cmp(&boxes[a].1));
    let mut kept: Vec<usize> = Vec::new();
    for candidate in order {
        let stands = kept.iter().all(|&better| {
            let (a, b) = (&boxes[better].0, &boxes[candidate].0);
            overlap(a, b) <= most && !(nested(better, candidate) && share(a, b) > 0.5)
        });
        if stands {
            kept.push(candidate);
        }
    }
    kept
}

/// The part of the smaller of two boxes that lies in the other.
fn share(a: &Area, b: &Area) -> f64 {
    let length = |low: usize| {
        f64::from(
            a[low + 2]
                .min(b[low + 2])
                .saturating_sub(a[low].max(b[low])),
        )
    };
    let area = |x: &Area| f64::from(x[2] - x[0]) * f64::from(x[3] - x[1]);
    let smaller = area(a).min(area(b));
    if smaller > 0.0 {
        length(0) * length(1) / smaller
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_picture_evenly_at_every_size() {
        for (width, height) in [
            (400, 300),
            (300, 400),
            (97, 1200),
            (16, 16),
            (1, 1),
            (5, 300),
        ] {
            let tiling = Tiling::default();
            let all = windows(width, height, &tiling);
            assert_eq!(all[0], [0, 0, width, height]);
            for window in &all {
                assert!(window[0] < window[2] && window[2] <= width, "{window:?}");
                assert!(window[1] < window[3] && window[3] <= height, "{window:?}");
            }
            let mut once = all.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), all.len());
            // Each size reaches every edge and leaves no gap: its windows step by half their side at most.
            for side in &tiling.sides {
                let size = ((f64::from(width.min(height)) * side).round() as u32)
                    .clamp(tiling.least.min(width.min(height)), width.min(height));
                let of_size = all
                    .iter()
                    .filter(|w| w[2] - w[0] == size && w[3] - w[1] == size);
                let mut lefts: Vec<u32> = of_size.map(|w| w[0]).collect();
                lefts.sort_unstable();
                lefts.dedup();
                assert_eq!(lefts.first(), Some(&0));
                assert_eq!(lefts.last(), Some(&(width - size)));
                assert!(lefts.is_sorted_by(|a, b| b - a <= size / 2 + 1));
            }
        }
        assert!((100..250).contains(&windows(400, 300, &Tiling::default()).len()));
    }

    #[test]
    fn overlap_is_intersection_over_union() {
        assert_eq!(overlap(&[0, 0, 10, 10], &[0, 0, 10, 10]), 1.0);
        assert_eq!(overlap(&[0, 0, 10, 10], &[10, 0, 20, 10]), 0.0);
        assert_eq!(overlap(&[0, 0, 10, 10], &[5, 0, 15, 10]), 50.0 / 150.0);
        assert_eq!(overlap(&[3, 3, 3, 3], &[3, 3, 3, 3]), 0.0);
        assert_eq!(share(&[0, 0, 10, 10], &[2, 2, 4, 4]), 1.0);
    }

    #[test]
    fn of_boxes_that_overlap_the_best_is_kept() {
        let boxes = [
            ([0, 0, 10, 10], 0.8),
            ([1, 1, 11, 11], 0.9),
            ([20, 20, 30, 30], 0.7),
            ([2, 2, 6, 6], 0.6),
        ];
        assert_eq!(suppress(&boxes, 0.5, |_, _| false), [1, 2, 3]);
        assert_eq!(suppress(&boxes, 0.5, |_, _| true), [1, 2]);
        assert_eq!(suppress(&boxes, 1.0, |_, _| false), [1, 0, 2, 3]);
        assert!(suppress(&[], 0.5, |_, _| true).is_empty());
    }
}
