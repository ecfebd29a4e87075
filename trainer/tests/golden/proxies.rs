//! Losses over the training brands as classes against pytorch-metric-learning, and their own weights.

use logodex_trainer::loss::proxy_losses;
use logodex_trainer::model::Parameter;
use logodex_trainer::optim::schedule;
use tch::{Kind, Tensor};

use crate::pairs::{CLASSES, DIM, LABELS, batch, check, leaf, learner};
use crate::{assert_close, centred};

#[test]
fn losses_over_classes_equal_pytorch_metric_learning() {
    let labels = Tensor::from_slice(&LABELS);
    for sub_centers in [1, 3] {
        let centers = centred("centers", &[CLASSES * sub_centers, DIM], 1.0);
        let x = batch("batch");
        let opposite = -centers.get(0) + x.get(0) * 0.05;
        x.get(0).copy_(&opposite);
        let (x, centers) = (leaf(&x), leaf(&centers));
        let loss = proxy_losses::arc_face(&x, &centers, &labels, 28.6, 64.0, sub_centers);
        check(&format!("arc_face.{sub_centers}"), &loss, &[&x, &centers]);
    }
    for (margin, alpha) in [("0.1", "32"), ("0.3", "4")] {
        let (x, proxies) = (
            leaf(&batch("batch")),
            leaf(&centred("centers", &[CLASSES, DIM], 1.0)),
        );
        let (m, a) = (margin.parse().unwrap(), alpha.parse().unwrap());
        let loss = proxy_losses::proxy_anchor(&x, &proxies, &labels, m, a);
        check(
            &format!("proxy_anchor.{margin}.{alpha}"),
            &loss,
            &[&x, &proxies],
        );
    }
}

#[test]
fn angular_losses_stay_finite_where_an_embedding_meets_its_class_and_under_bf16() {
    let centers = centred("centers", &[3, DIM], 1.0);
    let labels = Tensor::from_slice(&[0_i64, 1, 2]);
    let opposite = -&centers;
    for at in [&centers, &opposite] {
        for kind in [Kind::Float, Kind::BFloat16] {
            let (x, w) = (leaf(&at.to_kind(kind)), leaf(&centers));
            for loss in [
                proxy_losses::arc_face(&x, &w, &labels, 28.6, 64.0, 1),
                proxy_losses::proxy_anchor(&x, &w, &labels, 0.1, 32.0),
                proxy_losses::norm_softmax(&x, &w, &labels, 0.05),
            ] {
                assert_eq!(loss.kind(), Kind::Float);
                loss.backward();
                for grad in [x.grad(), w.grad()] {
                    assert!(grad.isfinite().all().int64_value(&[]) == 1, "{kind:?}");
                }
            }
        }
    }
}

#[test]
fn a_loss_s_own_weights_are_trained_at_their_own_rate() {
    for loss in [
        "kind = \"norm_softmax\"\ntemperature = 0.05",
        "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 64.0",
        "kind = \"arc_face\"\nmargin_deg = 28.6\nscale = 64.0\nsub_centers = 3",
        "kind = \"proxy_anchor\"\nmargin = 0.1\nalpha = 32.0",
    ] {
        let moved = |loss_factor: f64| {
            let sgd = format!(
                "[optimizer]\nkind = \"sgd\"\nmomentum = 0.0\nlr = 0.1\nloss_factor = {loss_factor:?}\n"
            );
            let (mut learner, config) = learner(loss, &sgd);
            let before = learner.model_state().remove("loss.weight").unwrap().copy();
            let labels = Tensor::from_slice(&LABELS);
            learner
                .loss(&config, &batch("batch"), &labels, 0, 0)
                .backward();
            let rate = |p: &Parameter| schedule::rate(&config.optimizer, 1.0, p.group);
            learner.optimizer.step(&learner.parameters, rate);
            learner.model_state().remove("loss.weight").unwrap() - before
        };
        let (once, thrice) = (moved(1.0), moved(3.0));
        assert!(once.abs().max().double_value(&[]) > 1e-6, "{loss}");
        assert_close(&thrice, &(once * 3.0), 1e-4, loss);
    }
}
