//! Reads what a run left on disk, as far as a sweep's table asks; damage is told, and nothing is left out in silence.

use std::path::Path;

use logodex_schemas::evaluation::{Evaluation, evaluation_header};
use logodex_schemas::run::MetricsLine;

/// What a run left.
#[derive(Debug, Default)]
pub struct Left {
    /// The lines of `metrics.jsonl`; none where there is no such file.
    pub metrics: Vec<MetricsLine>,
    /// `evaluation.json`, where there is one.
    pub evaluation: Option<Evaluation>,
    /// What cannot be read, where, and why; the first of it.
    pub damage: Option<String>,
}

/// Reads the run in `dir`.
pub fn read(dir: &Path) -> Left {
    let mut left = Left::default();
    let file = |name: &str| std::fs::read(dir.join(name)).unwrap_or_default();
    let metrics = file("metrics.jsonl");
    let lines: Vec<&[u8]> = metrics.split_inclusive(|&byte| byte == b'\n').collect();
    for (i, line) in lines.iter().enumerate() {
        match serde_json::from_slice(line) {
            Ok(parsed) => left.metrics.push(parsed),
            // A kill may cut the last one short.
            Err(_) if !line.ends_with(b"\n") => {}
            Err(error) => {
                let what = format!("metrics.jsonl, line {}: {error}", i + 1);
                left.damage.get_or_insert(what);
            }
        }
    }
    let json = file("evaluation.json");
    if !json.is_empty() {
        match evaluation_header().parse(&json) {
            Ok(evaluation) => left.evaluation = Some(evaluation),
            Err(error) => {
                left.damage
                    .get_or_insert(format!("evaluation.json: {error}"));
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_line_or_evaluation_is_told_and_a_line_cut_short_by_a_kill_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let left = |metrics: &[u8], evaluation: &str| {
            std::fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
            std::fs::write(dir.path().join("evaluation.json"), evaluation).unwrap();
            let left = read(dir.path());
            (left.metrics.len(), left.damage.unwrap_or_default())
        };
        let lr = "{\"backbone\":0.1,\"head\":0.1,\"loss\":0.1}";
        let good = format!(
            "{{\"kind\":\"step\",\"epoch\":0,\"step\":1,\"loss\":1.0,\"lr\":{lr},\"grad_norm\":1.0,\"images_per_sec\":9.0}}\n"
        );
        let cut = &good[..good.len() / 2];
        assert_eq!(left(good.as_bytes(), ""), (1, String::new()));
        assert_eq!(
            left(format!("{good}{cut}").as_bytes(), ""),
            (1, String::new())
        );
        for bad in [cut.as_bytes(), b"\xff", b"{}"] {
            let metrics = [good.as_bytes(), bad, b"\n", good.as_bytes()].concat();
            let (n, told) = left(&metrics, "");
            assert!(
                n == 2 && told.starts_with("metrics.jsonl, line 2: "),
                "{told}"
            );
        }
        let (_, told) = left(b"", "{\"format\":\"logodex-evaluation\",\"version\":1}");
        assert!(
            told.starts_with("evaluation.json: ") && told.contains("version 1"),
            "{told}"
        );
    }
}
