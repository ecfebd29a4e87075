//! Each verdict fails where something is wrong: every test plants a discrepancy.

use super::*;

/// Three epochs of two steps, learning.
fn healthy() -> Told {
    Told {
        steps: vec![(0, 3.0), (0, 2.8), (1, 2.4), (1, 2.2), (2, 1.8), (2, 1.6)],
        epochs: vec![(2.9, Some(0.68)), (2.3, Some(0.75)), (1.7, Some(0.8))],
        weights: Some(blake3::hash(b"weights")),
        resumed_at: 0,
    }
}

fn failed(judge: impl Fn(&mut Findings)) -> Vec<String> {
    let mut findings = Findings::new(1.0);
    judge(&mut findings);
    findings
        .failed()
        .iter()
        .map(|&name| name.to_owned())
        .collect()
}

#[test]
fn a_run_that_does_not_learn_fails() {
    assert_eq!(failed(|f| learning(f, &healthy())), [""; 0]);
    let mut still = healthy();
    still.epochs = vec![(2.9, Some(0.667)), (2.91, Some(0.68)), (2.75, Some(0.667))];
    assert_eq!(failed(|f| learning(f, &still)), ["learning"]);
    assert_eq!(failed(|f| learning(f, &Told::default())), ["learning"]);
}

#[test]
fn a_run_that_was_resumed_wrongly_fails() {
    let right = Told {
        resumed_at: 1,
        ..healthy()
    };
    for exact in [true, false] {
        assert_eq!(failed(|f| resume(f, exact, &healthy(), &right)), [""; 0]);
        // As if the checkpoint's epoch had been lost, and as if a step had been.
        let mut lost = right.clone();
        lost.steps[2..4].copy_from_slice(&[(1, 3.0), (1, 2.8)]);
        assert_eq!(
            failed(|f| resume(f, exact, &healthy(), &lost)),
            ["resume: losses"]
        );
        let mut short = right.clone();
        short.steps.remove(2);
        assert_eq!(
            failed(|f| resume(f, exact, &healthy(), &short)),
            ["resume: losses"]
        );
    }
    // On the CPU one bit is enough.
    let mut bit = right.clone();
    bit.steps[2].1 += 1e-9;
    bit.weights = Some(blake3::hash(b"others"));
    let names = ["resume: losses", "resume: weights"];
    assert_eq!(failed(|f| resume(f, true, &healthy(), &bit)), names);
    // Losses that stand still could not tell one epoch from another.
    let mut still = healthy();
    still.steps.iter_mut().for_each(|step| step.1 = 2.0);
    let resumed = Told {
        resumed_at: 1,
        ..still.clone()
    };
    assert_eq!(
        failed(|f| resume(f, true, &still, &resumed)),
        ["resume: would be seen"]
    );
}

#[test]
fn other_batches_from_the_device_fail() {
    assert_eq!(
        failed(|f| residency(f, true, &healthy(), &healthy())),
        [""; 0]
    );
    let mut other = healthy();
    other.steps[0].1 = 3.1;
    for exact in [true, false] {
        let names = failed(|f| residency(f, exact, &healthy(), &other));
        assert_eq!(names, ["residency: losses"]);
    }
    // Later epochs drift on a GPU and may not on the CPU.
    let mut late = healthy();
    late.steps[5].1 = 1.7;
    assert_eq!(failed(|f| residency(f, false, &healthy(), &late)), [""; 0]);
    assert_eq!(
        failed(|f| residency(f, true, &healthy(), &late)),
        ["residency: losses"]
    );
}

#[test]
fn steps_and_epochs_are_read_and_other_lines_passed_over() {
    let text = r#"{"kind":"step","epoch":1,"step":3,"loss":0.5}
{"kind":"warning","epoch":1}
{"kind":"epoch","epoch":1,"train_loss":0.25,"f1":null}
"#;
    let told = parse(text).expect("read");
    assert_eq!(
        (told.steps, told.epochs),
        (vec![(1, 0.5)], vec![(0.25, None)])
    );
    assert!(parse("{\"kind\":\"step\",\"epoch\":1}").is_err());
    assert!(parse("{\"kind\"").is_err());
}
