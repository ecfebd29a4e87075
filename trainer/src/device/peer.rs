//! The same training step in Python PyTorch: a process that answers one JSON line with one JSON line, so that its
//! windows can take turns with ours.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use logodex_schemas::device::{BenchRow, Who};
use logodex_schemas::train::Arch;
use serde::Deserialize;
use serde_json::json;
use tch::Device;

/// The program, so that the binary needs no file beside it.
const SCRIPT: &str = include_str!("../../cuda/peer.py");

/// A running peer; it ends with this value.
pub(super) struct Peer {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
    /// Whether it can be asked again: it is there, and owes no answer.
    pub(super) ready: bool,
}

/// One timed window, the peer's or ours.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct PeerWindow {
    pub(super) images_per_sec: f64,
    pub(super) peak_memory_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Losses {
    losses: Vec<f64>,
}

impl Peer {
    /// Starts Python; its messages go to `peer.log` in `out`.
    pub(super) fn start(
        python: &Path,
        arch: Arch,
        side: u32,
        batch: u32,
        device: Device,
        threads: u32,
        out: &Path,
    ) -> Result<Self> {
        let script = out.join("peer.py");
        std::fs::write(&script, SCRIPT).with_context(|| script.display().to_string())?;
        let log = out.join("peer.log");
        let log = File::create(&log).with_context(|| log.display().to_string())?;
        let options = json!({
            "arch": arch, "side": side, "batch": batch, "threads": threads,
            "device": if device.is_cuda() { "cuda" } else { "cpu" },
        });
        let mut child = Command::new(python)
            .arg(&script)
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{}: cannot be started", python.display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are pipes")
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            input,
            answers,
            ready: true,
        })
    }

    /// The losses of the first steps from the weights, pictures and targets in a safetensors file, in fp32.
    pub(super) fn losses(
        &mut self,
        file: &Path,
        steps: usize,
        deadline: Instant,
    ) -> Result<Vec<f64>> {
        let request = json!({"do": "losses", "file": file, "steps": steps});
        let answer: Losses = self.ask(&request, deadline)?;
        if answer.losses.len() != steps {
            bail!("PyTorch took {} of {steps} steps", answer.losses.len());
        }
        Ok(answer.losses)
    }

    /// Times one window of a row.
    pub(super) fn window(
        &mut self,
        row: &BenchRow,
        seconds: f64,
        warm_up: usize,
        deadline: Instant,
    ) -> Result<PeerWindow> {
        let request = json!({
            "do": "window", "seconds": seconds, "warm_up": warm_up, "precision": row.precision,
            "channels_last": row.channels_last, "freeze": row.freeze, "compiled": row.who == Who::Compiled,
        });
        self.ask(&request, deadline)
    }

    fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        request: &serde_json::Value,
        deadline: Instant,
    ) -> Result<T> {
        let ended = "PyTorch's process has ended: see peer.log";
        self.ready = false;
        writeln!(self.input, "{request}")
            .and_then(|()| self.input.flush())
            .context(ended)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = match self.answers.recv_timeout(left) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => bail!("the time was up"),
            Err(RecvTimeoutError::Disconnected) => bail!(ended),
        };
        self.ready = true;
        let value: serde_json::Value = serde_json::from_str(&answer)
            .with_context(|| format!("PyTorch answered {answer:?}"))?;
        if let Some(error) = value.get("error").and_then(|e| e.as_str()) {
            bail!("PyTorch: {error}");
        }
        serde_json::from_value(value).with_context(|| format!("PyTorch answered {answer:?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be in the middle of a window that nobody waits for any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
