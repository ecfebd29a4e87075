//! Losses over the training brands as classes, each with trained weights: one direction, or several, per class.

use tch::{Kind, Reduction, Tensor};

use super::distance::cosines;
use super::log_sum_exp::log_one_plus_sum_exp;

/// Smallest 1 − cos² whose root is taken: the gradient of sin stays finite where an embedding lies on its class weight.
const SIN_SQUARED_MIN: f64 = 1e-12;

/// Cross-entropy over classes of cosine / temperature (Zhai & Wu 2019), mean over the batch.
///
/// `embeddings` `[B, D]` and `class_weights` `[C, D]` are normalised here; `labels` `[B]` are i64 in 0..C.
pub fn norm_softmax(
    embeddings: &Tensor,
    class_weights: &Tensor,
    labels: &Tensor,
    temperature: f64,
) -> Tensor {
    cross_entropy(&(cosines(embeddings, class_weights) / temperature), labels)
}

/// ArcFace (Deng et al. 2019): cross-entropy of scale · cos θ over classes, with cos(θ + m) for the true class; with
/// several centres per class the nearest counts (sub-center ArcFace, Deng et al. 2020). Where θ > π − m the true class
/// has cos θ − m·sin m instead, so that the loss keeps falling with θ.
///
/// `embeddings` `[B, D]`; `centers` `[C · sub_centers, D]`, the centres of a class one after the other; `labels` `[B]`
/// i64 in 0..C; `margin_deg` degrees. cos(θ + m) is cos θ · cos m − sin θ · sin m: unlike arccos it has a gradient at
/// cos θ = ±1.
pub fn arc_face(
    embeddings: &Tensor,
    centers: &Tensor,
    labels: &Tensor,
    margin_deg: f64,
    scale: f64,
    sub_centers: i64,
) -> Tensor {
    let margin = margin_deg.to_radians();
    let cosine = cosines(embeddings, centers);
    let cosine = match sub_centers {
        1 => cosine,
        n => cosine.view([cosine.size()[0], -1, n]).amax([2], false),
    }; // [B, C]
    let label = labels.unsqueeze(1);
    let own = cosine.gather(1, &label, false); // [B, 1]
    let sine = (-own.square() + 1.0).clamp_min(SIN_SQUARED_MIN).sqrt();
    let moved = &own * margin.cos() - sine * margin.sin();
    let beyond = &own - margin * margin.sin();
    // θ ≤ π − m
    let within = own.ge(-margin.cos());
    let own = moved.where_self(&within, &beyond);
    cross_entropy(&(cosine.scatter(1, &label, &own) * scale), labels)
}

/// Proxy-Anchor (Kim et al. 2020, eq. 4): mean over the proxies with a positive in the batch of
/// ln(1 + Σ exp(−α(s − δ))) over their positives + mean over all proxies of ln(1 + Σ exp(α(s + δ))) over the others.
///
/// `embeddings` `[B, D]` and `proxies` `[C, D]` are normalised here; `labels` `[B]` i64 in 0..C; δ = `margin`.
pub fn proxy_anchor(
    embeddings: &Tensor,
    proxies: &Tensor,
    labels: &Tensor,
    margin: f64,
    alpha: f64,
) -> Tensor {
    let cosine = cosines(embeddings, proxies); // [B, C]
    let n_classes = cosine.size()[1];
    let classes = Tensor::arange(n_classes, (Kind::Int64, labels.device()));
    let own = labels.unsqueeze(1).eq_tensor(&classes.unsqueeze(0)); // [B, C]
    let pull = log_one_plus_sum_exp(&((-&cosine + margin) * alpha), &own, 0); // [C]
    let push = log_one_plus_sum_exp(&((cosine + margin) * alpha), &own.logical_not(), 0);
    let n_with_positive = own.any_dim(0, false).sum(Kind::Float);
    pull.sum(Kind::Float) / n_with_positive + push.mean(Kind::Float)
}

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, 0.0)
}
