//! The map against scikit-learn: `tsne.safetensors` is written by `make_golden_tsne.py` beside this file.

use std::path::PathBuf;

use logodex_evaluation::tsne::layout::{
    Place, gradient, joint_probabilities, kl_divergence, layout, principal_components,
    trustworthiness,
};
use safetensors::SafeTensors;

struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tsne.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), safetensors::Dtype::F64);
        let bytes = tensor.data().as_chunks().0.iter();
        bytes.map(|eight| f64::from_le_bytes(*eight)).collect()
    }

    fn points(&self) -> Vec<Vec<f64>> {
        let rows = self.values("points");
        rows.chunks(20).map(<[f64]>::to_vec).collect()
    }

    fn places(&self, name: &str) -> Vec<Place> {
        self.values(name).as_chunks().0.to_vec()
    }
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f64::max)
}

#[test]
fn joint_probabilities_are_those_of_scikit_learn() {
    let golden = Golden::read();
    let points = golden.points();
    let perplexity = (points.len() as f64 - 1.0) / 3.0;
    let p = joint_probabilities(&points, perplexity);
    let expected = golden.values("joint_probabilities");
    assert!(
        furthest(&p, &expected) < 1e-6,
        "{}",
        furthest(&p, &expected)
    );
    // Most are far below the tolerance, so it would hold nothing by itself.
    let ratio = p.iter().zip(&expected).map(|(a, b)| (a / b - 1.0).abs());
    assert!(ratio.fold(0.0, f64::max) < 1e-4);
    assert!((p.iter().sum::<f64>() * 2.0 - 1.0).abs() < 1e-9);
}

#[test]
fn the_start_is_the_principal_components_of_scikit_learn() {
    let golden = Golden::read();
    let start = principal_components(&golden.points());
    let expected = golden.places("start");
    let apart = furthest(start.as_flattened(), expected.as_flattened());
    assert!(apart < 1e-4 * 1e-6, "{apart}");
}

#[test]
fn divergence_and_gradient_at_a_given_map_are_those_of_scikit_learn() {
    let golden = Golden::read();
    let (p, at) = (golden.values("joint_probabilities"), golden.places("at"));
    let (kl, expected) = (kl_divergence(&p, &at), golden.values("kl")[0]);
    assert!((kl / expected - 1.0).abs() < 1e-8, "{kl} {expected}");
    let expected = golden.values("gradient");
    let largest = furthest(&expected, &vec![0.0; expected.len()]);
    let apart = furthest(gradient(&p, &at, 1.0).as_flattened(), &expected);
    assert!(apart < largest * 1e-8, "{apart} of {largest}");
    let exaggerated: Vec<f64> = p.iter().map(|p| p * 12.0).collect();
    assert_eq!(gradient(&exaggerated, &at, 1.0), gradient(&p, &at, 12.0));
}

#[test]
fn trustworthiness_is_that_of_scikit_learn() {
    let golden = Golden::read();
    let (points, at) = (golden.points(), golden.places("at"));
    for (k, expected) in [1, 5, 10].into_iter().zip(golden.values("trustworthiness")) {
        let found = trustworthiness(&points, &at, k);
        assert!((found - expected).abs() < 1e-12, "{k}: {found} {expected}");
    }
}

#[test]
fn a_layout_is_as_good_as_that_of_scikit_learn() {
    let golden = Golden::read();
    let points = golden.points();
    let found = layout(&points);
    let kept = trustworthiness(&points, &found.at, 10);
    // As scikit-learn does it by default, and with the learning rate that suits so few points.
    for name in ["layout_auto", "layout"] {
        let expected = golden.values(name);
        let kl = found.kl_divergence;
        assert!(kl < expected[0] * 1.05, "{name}: {kl} against {expected:?}");
        assert!(
            kept > expected[1] - 0.02,
            "{name}: {kept} against {expected:?}"
        );
    }
    for d in 0..3 {
        assert!(found.at.iter().map(|y| y[d]).sum::<f64>().abs() < 1e-9);
    }
}
