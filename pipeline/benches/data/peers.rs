//! The process that runs the peers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use serde_json::Value;

use crate::measure::{Side, Time};

/// The process of `peers.py`.
pub struct Peers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peers {
    /// Starts it.
    pub fn start(python: &Path, scratch: &Path) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.py");
        let mut child = Command::new(python)
            .args([script.as_path(), scratch])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        Ok(Self {
            to: child.stdin.take().context("no stdin")?,
            from: BufReader::new(child.stdout.take().context("no stdout")?),
            child,
        })
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        writeln!(self.to, "{request}")?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{} failed", request["task"]))
    }

    /// Adds a round to a peer's side, unless it is not installed.
    pub fn round(&mut self, side: &mut Side, request: &Value) -> anyhow::Result<()> {
        let answer = self.ask(request)?;
        match answer["missing"].as_str() {
            Some(why) => side.missing = Some(why.to_owned()),
            None => side.rounds.push(time_of(&answer)?),
        }
        Ok(())
    }

    /// Ends it.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.to);
        self.child.wait()?;
        Ok(())
    }
}

/// The time that an answer tells.
pub fn time_of(answer: &Value) -> anyhow::Result<Time> {
    let seconds = |key: &str| answer[key].as_f64().context("an answer without a time");
    Ok(Time {
        cpu: seconds("cpu")?,
        wall: seconds("wall")?,
    })
}
