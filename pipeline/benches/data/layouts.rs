//! JPEGs as cameras and the web have them, made by `cjpeg` from the tree's pictures, beside the peers.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::measure::{Side, timed};
use crate::ours::{bare_loop, look_loop};
use crate::peers::Peers;

const PEERS: [&str; 3] = ["pillow", "opencv_area", "torchvision"];

/// A table of all layouts, and its numbers.
pub fn layouts(
    peers: &mut Peers,
    paths: &[PathBuf],
    rounds: usize,
) -> anyhow::Result<(String, Value)> {
    let answer = peers.ask(&json!({"task": "layouts", "paths": paths}))?;
    let mut markdown = "| read, decode, → 224 × 224 px, one thread | ours per processor second | Pillow's | ours is × Pillow | \
        × OpenCV (`INTER_AREA`) | × torchvision | × Pillow with our scan |\n|---|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    if let Some(why) = answer["missing"].as_str() {
        return Ok((format!("No layouts: {why}.\n"), Value::Null));
    }
    let mut result = Vec::new();
    for layout in answer["layouts"].as_array().context("no layouts")? {
        let name = layout["name"].as_str().context("no name")?;
        let paths: Vec<PathBuf> = serde_json::from_value(layout["paths"].clone())?;
        let side = |name: &str| Side::new(name, paths.len());
        let (mut ours, mut looks) = (side("ours"), side("look and BLAKE3"));
        let mut theirs = PEERS.map(side);
        for _ in 0..rounds {
            ours.rounds.push(timed(|| bare_loop(&paths))?);
            looks.rounds.push(timed(|| look_loop(&paths))?);
            for (side, name) in theirs.iter_mut().zip(PEERS) {
                let request = json!({"task": "render", "name": name, "paths": paths});
                peers.round(side, &request)?;
            }
        }
        let median = |side: &Side| match side.rounds.is_empty() {
            true => f64::NAN,
            false => side.rates()[1],
        };
        let [pillow, opencv, torchvision] = theirs.each_ref().map(median);
        let rate = median(&ours);
        let with_scan = 1.0 / (1.0 / rate + 1.0 / median(&looks));
        writeln!(
            markdown,
            "| {name} | {rate:.0} | {pillow:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
            rate / pillow,
            rate / opencv,
            rate / torchvision,
            with_scan / pillow
        )?;
        result.push(json!({"name": name, "ours": ours, "look": looks, "peers": theirs}));
    }
    Ok((markdown, json!(result)))
}
