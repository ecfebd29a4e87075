//! Losses and their gradients against torch.nn and pytorch-metric-learning.

use logodex_trainer::loss::{drawn_losses, proxy_losses};
use tch::Tensor;

use crate::{assert_close, centred, golden};

/// The points of `make_golden.py`: some within the margin, some beyond, some identical.
fn points() -> (Tensor, Tensor, Tensor, Tensor) {
    let [anchor, positive, negative] =
        ["anchor", "positive", "negative"].map(|name| centred(name, &[8, 16], 0.5));
    let near = anchor.narrow(0, 0, 4) + positive.narrow(0, 0, 4) * 0.1;
    positive.narrow(0, 0, 4).copy_(&near);
    positive.get(7).copy_(&anchor.get(7));
    negative.get(6).copy_(&anchor.get(6));
    let same = Tensor::from_slice(&[1_i64, 0, 1, 0, 1, 0, 1, 0]);
    (anchor, positive, negative, same)
}

#[track_caller]
fn check(tag: &str, leaves: &[&Tensor], loss: impl Fn(&[Tensor]) -> Tensor) {
    let golden = golden("losses");
    let leaves: Vec<Tensor> = leaves
        .iter()
        .map(|t| t.copy().set_requires_grad(true))
        .collect();
    let value = loss(&leaves);
    assert_close(&value.detach(), &golden[&format!("{tag}.value")], 1e-6, tag);
    value.backward();
    for (index, leaf) in leaves.iter().enumerate() {
        let expected = &golden[&format!("{tag}.grad{index}")];
        assert_close(&leaf.grad(), expected, 1e-5, &format!("{tag} {index}"));
    }
}

#[test]
fn triplet_equals_torch() {
    let (a, p, n, _) = points();
    for margin in ["0.2", "1.0", "5.0"] {
        check(&format!("triplet.{margin}"), &[&a, &p, &n], |x| {
            drawn_losses::triplet(&x[0], &x[1], &x[2], margin.parse().unwrap())
        });
    }
    let plain = &golden("losses")["triplet_plain.1.0"];
    assert_close(
        &drawn_losses::triplet(&a, &p, &n, 1.0),
        plain,
        1e-5,
        "without eps",
    );
}

#[test]
fn contrastive_euclidean_equals_torch() {
    let (x, y, _, same) = points();
    for margin in ["0.2", "1.0", "5.0"] {
        check(&format!("contrastive_euclidean.{margin}"), &[&x, &y], |x| {
            drawn_losses::contrastive_euclidean(&x[0], &x[1], &same, margin.parse().unwrap())
        });
    }
}

#[test]
fn contrastive_cosine_equals_torch() {
    let (x, y, _, same) = points();
    for margin in ["-0.5", "0.2", "0.9"] {
        check(&format!("contrastive_cosine.{margin}"), &[&x, &y], |x| {
            drawn_losses::contrastive_cosine(&x[0], &x[1], &same, margin.parse().unwrap())
        });
    }
}

#[test]
fn norm_softmax_equals_pytorch_metric_learning() {
    let embeddings = centred("anchor", &[8, 16], 0.5);
    let classes = centred("classes", &[5, 16], 1.0);
    let labels = Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 0, 1, 2]);
    for temperature in ["0.05", "0.5"] {
        check(
            &format!("norm_softmax.{temperature}"),
            &[&embeddings, &classes],
            |x| proxy_losses::norm_softmax(&x[0], &x[1], &labels, temperature.parse().unwrap()),
        );
    }
}

#[test]
fn gradients_stay_finite_where_embeddings_coincide_or_vanish() {
    let same = Tensor::from_slice(&[1_i64, 0]);
    let zero = Tensor::zeros([2, 4], (tch::Kind::Float, tch::Device::Cpu));
    for x in [zero.copy(), zero + 0.5] {
        let losses: [fn(&Tensor, &Tensor, &Tensor) -> Tensor; 4] = [
            |x, y, _| drawn_losses::triplet(x, y, y, 0.3),
            |x, y, same| drawn_losses::contrastive_euclidean(x, y, same, 0.3),
            |x, y, same| drawn_losses::contrastive_cosine(x, y, same, 0.3),
            |x, y, same| proxy_losses::norm_softmax(x, y, same, 0.05),
        ];
        for loss in losses {
            let leaves = [&x, &x].map(|t| t.copy().set_requires_grad(true));
            loss(&leaves[0], &leaves[1], &same).backward();
            for leaf in leaves {
                assert!(leaf.grad().isfinite().all().int64_value(&[]) == 1);
            }
        }
    }
}
