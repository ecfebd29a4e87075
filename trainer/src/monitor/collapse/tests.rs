//! Planted collapses are told within 50 steps, once; what is healthy is not told of at all.

use std::collections::BTreeSet;

use super::*;
use crate::loss::distance::l2_normalize;

/// Embeddings `[96, 32]` around eight centres on the unit sphere, drawn for the step: a healthy batch.
fn healthy(step: u64) -> Tensor {
    crate::torch::manual_seed(7);
    let centres = Tensor::randn([8, 32], (Kind::Float, Device::Cpu));
    crate::torch::manual_seed(100 + step as i64);
    let noise = Tensor::randn([96, 32], (Kind::Float, Device::Cpu));
    l2_normalize(&(centres.repeat([12, 1]) + 0.6 * noise))
}

/// What is warned of, and at which step, when `batch` gives the embeddings, the loss and the gradient's norm of each
/// step.
fn warnings(batch: impl Fn(u64) -> (Tensor, f64, f64)) -> Vec<(Collapse, u64)> {
    let config = LossConfig::Triplet { margin: 0.2 };
    let mut monitor = CollapseMonitor::default();
    let mut warned = Vec::new();
    for step in (EVERY..=400).step_by(EVERY as usize) {
        let (embeddings, loss, grad_norm) = batch(step);
        let reading = read(&config, &embeddings, &[], 3).expect("finite numbers");
        let due = monitor.see(loss, grad_norm, &reading);
        warned.extend(due.into_iter().map(|(cause, _)| (cause, step)));
    }
    warned
}

/// Warned of within 50 steps of step 200, and once each.
fn assert_planted(warned: &[(Collapse, u64)], cause: Collapse) {
    let told: Vec<u64> = warned
        .iter()
        .filter(|w| w.0 == cause)
        .map(|w| w.1)
        .collect();
    assert!(
        told.len() == 1 && (200..=250).contains(&told[0]),
        "{cause:?}: {warned:?}"
    );
    let causes: BTreeSet<Collapse> = warned.iter().map(|w| w.0).collect();
    assert_eq!(causes.len(), warned.len(), "once each: {warned:?}");
}

#[test]
fn a_healthy_run_is_quiet() {
    let quiet = warnings(|step| (healthy(step), 0.2 / (step as f64).sqrt(), 1.0 / step as f64));
    assert_eq!(quiet, []);
    // Without normalisation, embeddings may begin wide and settle at the margin's scale.
    let settling = warnings(|step| {
        let scale = 1.0 + 20.0 * (-(step as f64) / 30.0).exp();
        (healthy(step) * scale, 0.1, 0.5)
    });
    assert_eq!(settling, []);
    // An untrained network may begin narrow, if it opens soon.
    let opening = warnings(|step| {
        let narrow = Tensor::ones([96, 32], (Kind::Float, Device::Cpu)) * 3.0;
        let batch = healthy(step);
        let x = if step <= 40 {
            narrow + 0.001 * batch
        } else {
            batch
        };
        (l2_normalize(&x), 0.2, 1.0)
    });
    assert_eq!(opening, []);
}

#[test]
fn embeddings_that_shrink_to_a_point_are_told() {
    for l2 in [true, false] {
        let warned = warnings(|step| {
            let batch = healthy(step);
            let x = match step {
                0..200 => batch,
                _ if l2 => l2_normalize(&(1.0 + 0.001 * batch)),
                _ => batch * 1e-4,
            };
            (x, 0.2, 1.0)
        });
        assert_planted(&warned, Collapse::Point);
    }
}

#[test]
fn a_point_from_the_beginning_is_told_by_step_50() {
    let point = |step| l2_normalize(&(1.0 + 0.001 * healthy(step)));
    let warned = warnings(|step| (point(step), 0.2, 1.0));
    assert!(warned.contains(&(Collapse::Point, 50)), "{warned:?}");
}

#[test]
fn embeddings_on_one_line_are_told() {
    let warned = warnings(|step| {
        let batch = healthy(step);
        let direction = l2_normalize(&Tensor::ones([1, 32], (Kind::Float, Device::Cpu)));
        let along = batch.matmul(&direction.tr()).matmul(&direction); // [96, 32]
        let x = if step < 200 {
            batch
        } else {
            along + 0.002 * batch
        };
        (x, 0.2, 1.0)
    });
    assert_planted(&warned, Collapse::Line);
    assert_eq!(warned.len(), 1, "they are as wide as before: {warned:?}");
}

#[test]
fn a_gradient_that_dies_is_told_unless_the_loss_went_with_it() {
    let dead = warnings(|step| (healthy(step), 0.2, if step < 200 { 1.0 } else { 0.0 }));
    assert_planted(&dead, Collapse::Gradient);
    let solved = warnings(|step| match step {
        0..200 => (healthy(step), 0.2, 1.0),
        _ => (healthy(step), 0.0, 0.0),
    });
    assert!(
        solved.iter().all(|w| w.0 != Collapse::Gradient),
        "{solved:?}"
    );
}

#[test]
fn triplets_that_are_all_solved_are_told() {
    // Roles in turn: anchors and positives together, negatives far away.
    let solved = || {
        let x = healthy(1).slice(0, 0, 32, 1);
        Tensor::cat(&[&x, &x, &(&x + 10.0)], 0)
    };
    let warned = warnings(|step| match step {
        0..200 => (healthy(step), 0.2, 1.0),
        _ => (solved(), 0.0, 0.0),
    });
    assert_planted(&warned, Collapse::Inactive);
}

#[test]
fn a_resumed_monitor_warns_as_the_one_left_alone() {
    let reading = |step: u64| MonitorReading {
        distance: if step < 200 { 1.0 } else { 1e-4 },
        norm: 1.0,
        effective_rank: 10.0,
        active: Some(0.5),
    };
    let steps: Vec<u64> = (10..=300).step_by(10).collect();
    let lines: Vec<MetricsLine> = steps
        .iter()
        .map(|&step| MetricsLine::Step {
            epoch: 0,
            step,
            loss: 0.2,
            lr: logodex_schemas::run::LearningRates {
                backbone: 0.1,
                head: 0.1,
                loss: 0.1,
            },
            grad_norm: 1.0,
            monitor: Some(reading(step)),
            images_per_sec: 1.0,
        })
        .collect();
    for stopped in 0..steps.len() {
        let mut monitor = CollapseMonitor::resume(&lines[..stopped]);
        let told: Vec<u64> = steps[stopped..]
            .iter()
            .filter(|&&step| !monitor.see(0.2, 1.0, &reading(step)).is_empty())
            .copied()
            .collect();
        // The second reading of the point, at step 210, is the one that is told.
        let expected: &[u64] = if stopped <= 20 { &[210] } else { &[] };
        assert_eq!(told, expected, "stopped after {stopped} readings");
    }
}

#[test]
fn the_effective_rank_is_that_of_the_singular_values() {
    let rank = |rows: &[f64], shape: [i64; 2]| {
        effective_rank(&Tensor::from_slice(rows).view(shape)).expect("finite")
    };
    // Two equal directions: p = ½, ½.
    let square = [1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
    assert!((rank(&square, [4, 2]) - 2.0).abs() < 1e-9);
    // Singular values 3·√2 and √2: p = ¾, ¼, so exp(¾·ln(4/3) + ¼·ln 4) = 1.7548.
    let oblong = [3.0, 0.0, -3.0, 0.0, 0.0, 1.0, 0.0, -1.0];
    assert!((rank(&oblong, [4, 2]) - 1.754_765_35).abs() < 1e-6);
    // As rows of fewer than columns, and shifted: the mean is taken away.
    let wide = [5.0, 2.0, 0.0, 3.0, 2.0, 0.0];
    assert!((rank(&wide, [2, 3]) - 1.0).abs() < 1e-6);
    assert_eq!(rank(&[1.0, 2.0, 1.0, 2.0], [2, 2]), 0.0);
}

#[test]
fn the_active_share_counts_open_hinges() {
    let x = Tensor::from_slice(&[0.0f32, 0.0, 0.3, 0.1, 1.0, 0.35]).view([6, 1]);
    // Anchors 0, 0; positives .3, .1; negatives 1, .35: .3 − 1 + .2 < 0, .1 − .35 + .2 < 0; with margin .3 one is open.
    let share = |margin| {
        read(&LossConfig::Triplet { margin }, &x, &[], 3)
            .unwrap()
            .active
    };
    assert_eq!((share(0.2), share(0.3)), (Some(0.0), Some(0.5)));
    // Pairs of different brands: distances 0 − .1 and .3 − .35… only those with target 0 count.
    let pairs = Tensor::from_slice(&[0.0f32, 0.0, 0.0, 0.1, 1.0, 0.35]).view([6, 1]);
    let config = LossConfig::ContrastiveEuclidean { margin: 0.5 };
    assert_eq!(
        read(&config, &pairs, &[0, 0, 1], 2).unwrap().active,
        Some(0.5)
    );
    assert_eq!(read(&config, &pairs, &[1, 1, 1], 2).unwrap().active, None);
    // Classes {0: 0, .3}, {1: .5, 1.5}: of 8 triplets, brute force over (anchor, positive, negative).
    let rows = [0.0f64, 0.3, 0.5, 1.5];
    let classes = [0i64, 0, 1, 1];
    let (mut open, mut all) = (0, 0);
    for a in 0..4 {
        for p in (0..4).filter(|&p| p != a && classes[p] == classes[a]) {
            for n in (0..4).filter(|&n| classes[n] != classes[a]) {
                all += 1;
                let d = |i: usize, j: usize| (rows[i] - rows[j]).abs();
                open += usize::from(d(a, p) - d(a, n) + 0.2 > 0.0);
            }
        }
    }
    let batch = Tensor::from_slice(&rows).view([4, 1]);
    let found = read(&LossConfig::Triplet { margin: 0.2 }, &batch, &classes, 1)
        .unwrap()
        .active;
    assert_eq!(found, Some(open as f64 / all as f64));
}

#[test]
fn numbers_that_are_not_finite_give_no_reading_and_no_panic() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let x = Tensor::from_slice(&[bad, 0.0, 0.3, 0.1, 1.0, 0.35]).view([6, 1]);
        assert!(read(&LossConfig::Triplet { margin: 0.2 }, &x, &[], 3).is_none());
    }
    // The largest numbers that a network can give are no trouble to double precision.
    let x = Tensor::from_slice(&[f32::MAX, f32::MIN, 0.3, 0.1, 1.0, 0.35]).view([3, 2]);
    let reading = read(&LossConfig::Triplet { margin: 0.2 }, &x, &[], 3).expect("finite");
    assert!(reading.effective_rank.is_finite() && reading.distance.is_finite());
}
