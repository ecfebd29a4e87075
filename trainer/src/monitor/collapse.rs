//! Watches for ways in which training goes wrong while its loss stays finite, and tells each once.
//!
//! On the first and every tenth step the embeddings of the batch are looked at ([`read`]); a reading says how far they
//! lie apart, in how many directions, and how many samples the loss still moves. Whether a warning is due depends on
//! the readings alone ([`CollapseMonitor`]), so that a resumed run, which reads them back from `metrics.jsonl`, warns
//! as the run left alone.

use std::collections::BTreeMap;

use logodex_schemas::run::{Collapse, MetricsLine, MonitorReading};
use logodex_schemas::train::LossConfig;
use tch::{Device, Kind, Tensor};

use crate::loss::distance::{cosine_similarity, euclidean_distance};

/// Steps from one reading to the next.
const EVERY: u64 = 10;
/// Embeddings that are looked at, at most: all pairs of these take less than a hundredth of a step.
const ROWS: i64 = 256;
/// Mean pair distance, as a part of the norm or of the largest one seen, below which the embeddings are a point.
const POINT: f64 = 0.01;
/// Effective rank below which they lie on a line. Two brands alone spread over more than two directions.
const LINE: f64 = 2.0;
/// Gradient norm, as a part of the largest one seen, below which it has vanished.
const VANISHED: f64 = 1e-6;
/// Readings in a row that confirm what was once otherwise, and what never was: an untrained network may begin narrow.
const CONFIRMED: (u32, u32) = (2, 5);

/// Whether there is a reading of this step, counted from 1: of the first, which tells where training began, and of
/// every tenth.
pub fn is_due(step: u64) -> bool {
    step == 1 || step.is_multiple_of(EVERY)
}

/// Looks at a batch's embeddings `[roles × B, D]` with their targets `[B]`, as the
/// loss takes them; nothing where one of their numbers is not finite, which the loss or its gradient tells.
pub fn read(
    config: &LossConfig,
    embeddings: &Tensor,
    targets: &[i64],
    roles: usize,
) -> Option<MonitorReading> {
    let all = embeddings
        .detach()
        .to_device(Device::Cpu)
        .to_kind(Kind::Double); // [roles × B, D]
    if all.isfinite().all().int64_value(&[]) == 0 {
        return None;
    }
    let n = all.size()[0];
    let some = all.slice(0, 0, n, (n + ROWS - 1) / ROWS); // [R ≤ 256, D]
    Some(MonitorReading {
        distance: some.pdist(2.0).mean(Kind::Double).double_value(&[]),
        norm: some
            .square()
            .sum_dim_intlist(-1, false, Kind::Double)
            .mean(Kind::Double)
            .sqrt()
            .double_value(&[]),
        effective_rank: effective_rank(&some)?,
        active: active(config, &all, targets, roles),
    })
}

/// exp(−Σ p·ln p) with p the singular values of `x` `[N, D]` less its mean row, divided by their sum (Roy & Vetterli
/// 2007, "The effective rank"); 0 when all rows are equal, nothing where LAPACK finds no singular values.
pub fn effective_rank(x: &Tensor) -> Option<f64> {
    let x = x.to_kind(Kind::Double);
    let centred = &x - x.mean_dim([0i64].as_slice(), true, Kind::Double);
    // The smaller of the two Gram matrices has all singular values, squared.
    let gram = match centred.size() {
        size if size[0] < size[1] => centred.matmul(&centred.tr()),
        _ => centred.tr().matmul(&centred),
    };
    let squares = gram.f_linalg_eigvalsh("L").ok()?.clamp_min(0.0);
    let values = Vec::<f64>::try_from(squares.sqrt()).ok()?;
    let sum: f64 = values.iter().sum();
    if sum == 0.0 {
        return Some(0.0);
    }
    let shares = values.iter().map(|value| value / sum).filter(|p| *p > 0.0);
    Some((-shares.map(|p| p * p.ln()).sum::<f64>()).exp())
}

/// The share of triplets, or of pairs of different brands, on which the loss's hinge is open.
fn active(config: &LossConfig, all: &Tensor, targets: &[i64], roles: usize) -> Option<f64> {
    let role = all.chunk(roles as i64, 0); // roles × [B, D]
    let (open, asked) = match (config, roles) {
        (LossConfig::Triplet { margin }, 3) => {
            let near = euclidean_distance(&role[0], &role[1]);
            let far = euclidean_distance(&role[0], &role[2]);
            let open = (near - far + *margin).gt(0.0);
            (open.copy(), open.ones_like())
        }
        (LossConfig::Triplet { margin }, 1) => triplets(all, targets, *margin)?,
        (LossConfig::ContrastiveEuclidean { margin }, 2) => {
            let distance = euclidean_distance(&role[0], &role[1]);
            (distance.lt(*margin), Tensor::from_slice(targets).eq(0))
        }
        (LossConfig::ContrastiveCosine { margin }, 2) => {
            let cosine = cosine_similarity(&role[0], &role[1]);
            (cosine.gt(*margin), Tensor::from_slice(targets).eq(0))
        }
        _ => return None,
    };
    let count = |which: &Tensor| which.sum(Kind::Double).double_value(&[]);
    let asked_count = count(&asked);
    (asked_count > 0.0).then(|| count(&open.logical_and(&asked)) / asked_count)
}

/// Of all triplets within a batch of classes, at most its first 256 rows: whether each is open, and whether it is one.
fn triplets(all: &Tensor, classes: &[i64], margin: f64) -> Option<(Tensor, Tensor)> {
    let n = all.size()[0].min(ROWS);
    let x = all.slice(0, 0, n, 1);
    let classes = Tensor::from_slice(&classes[..n as usize]);
    let same = classes.unsqueeze(0).eq_tensor(&classes.unsqueeze(1)); // [N, N]
    let distance = Tensor::cdist(&x, &x, 2.0, None); // [N, N]
    let others = Tensor::eye(n, (Kind::Bool, Device::Cpu)).logical_not();
    let pairs = same.logical_and(&others).nonzero(); // [M, 2]: anchor, positive
    if pairs.size()[0] == 0 {
        return None;
    }
    let anchor = pairs.select(1, 0);
    let near = distance
        .take(&(&anchor * n + pairs.select(1, 1)))
        .unsqueeze(1); // [M, 1]
    let far = distance.index_select(0, &anchor); // [M, N]
    let open = (near - far + margin).gt(0.0);
    Some((open, same.index_select(0, &anchor).logical_not()))
}

/// What the readings so far have shown.
#[derive(Debug, Default)]
pub struct CollapseMonitor {
    seen: Largest,
    suspected: BTreeMap<Collapse, u32>,
    warned: Vec<Collapse>,
}

/// The largest of each seen so far.
#[derive(Debug, Default, Clone, Copy)]
struct Largest {
    distance: f64,
    part: f64,
    rank: f64,
    grad_norm: f64,
    loss: f64,
}

impl CollapseMonitor {
    /// The monitor of a run that has written these lines.
    pub fn resume(lines: &[MetricsLine]) -> Self {
        let mut monitor = Self::default();
        for line in lines {
            if let MetricsLine::Step {
                loss,
                grad_norm,
                monitor: Some(reading),
                ..
            } = line
            {
                monitor.see(*loss, *grad_norm, reading);
            }
        }
        monitor
    }

    /// Takes a reading with its step's loss and gradient norm; returns what is to be warned of, with words for people.
    pub fn see(
        &mut self,
        loss: f64,
        grad_norm: f64,
        reading: &MonitorReading,
    ) -> Vec<(Collapse, String)> {
        let MonitorReading {
            distance,
            norm,
            effective_rank: rank,
            active,
        } = *reading;
        let part = distance / norm.max(f64::MIN_POSITIVE);
        let before = self.seen;
        self.seen = Largest {
            distance: before.distance.max(distance),
            part: before.part.max(part),
            rank: before.rank.max(rank),
            grad_norm: before.grad_norm.max(grad_norm),
            loss: before.loss.max(loss),
        };
        // What is wrong now, and whether it ever was right.
        let verdicts = [
            (
                Collapse::Point,
                part < POINT || distance < POINT * before.distance,
                before.part > 2.0 * POINT,
                format!(
                    "the embeddings are shrinking to a point: a pair's mean distance is {distance:.2e} at a norm of {norm:.2e}; lower optimizer.lr or optimizer.weight_decay, raise loss.margin, or mine less hard samples"
                ),
            ),
            (
                Collapse::Line,
                rank < LINE && part >= POINT,
                before.rank > 2.0 * LINE,
                format!(
                    "the embeddings lie on a line: their effective rank is {rank:.2}; lower optimizer.lr or mine less hard samples"
                ),
            ),
            (
                Collapse::Gradient,
                grad_norm <= VANISHED * before.grad_norm && loss > 0.01 * before.loss,
                before.grad_norm > 0.0,
                format!(
                    "the gradient has vanished (norm {grad_norm:.2e}) at a loss of {loss:.3}: nothing is learnt any more; start again with a lower optimizer.lr or optimizer.weight_decay"
                ),
            ),
            (
                Collapse::Inactive,
                active == Some(0.0) && loss <= VANISHED * before.loss,
                false,
                "no sample of the batch is left that the loss would push apart: nothing is learnt any more; choose a miner, or raise loss.margin".to_owned(),
            ),
        ];
        let mut due = Vec::new();
        for (cause, wrong, was_right, message) in verdicts {
            let times = self.suspected.entry(cause).or_default();
            *times = if wrong { *times + 1 } else { 0 };
            let enough = match was_right {
                true => CONFIRMED.0,
                false => CONFIRMED.1,
            };
            if *times >= enough && !self.warned.contains(&cause) {
                self.warned.push(cause);
                due.push((cause, message));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests;
