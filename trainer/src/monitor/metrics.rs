//! Writes `metrics.jsonl` and, from the same lines, TensorBoard's event file.
//!
//! A run that is resumed drops the lines that lie behind its checkpoint and writes the event file anew from those that
//! stay, so that both read as those of a run that never stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use logodex_program::durable::write_whole;
use logodex_schemas::run::{MetricsLine, RunState};

use super::tensorboard;

/// Both files, open for appending, with the lines that are in them.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    jsonl: BufWriter<File>,
    events_path: PathBuf,
    events: BufWriter<File>,
    lines: Vec<MetricsLine>,
}

impl Metrics {
    /// Opens the files of the run in `dir` as they were when it stood at `state`: lines behind it, and a last line cut
    /// short by a kill, are dropped.
    ///
    /// # Errors
    /// A line that is damaged, or lines that are missing: nothing is written then. The disk.
    pub fn open(dir: &Path, state: &RunState) -> Result<Self> {
        let path = dir.join("metrics.jsonl");
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            read => read.unwrap_or_default(),
        };
        let (kept, lines) = history(&bytes, state).with_context(|| {
            format!(
                "{}: the run's history is damaged; put the file back from a copy, or move it away to continue without what came before",
                path.display()
            )
        })?;
        if lines.is_empty() && state.steps_done > 0 {
            tracing::warn!(
                "{}: there is no history of the {} steps done: curves and warnings begin anew",
                path.display(),
                state.steps_done
            );
        }
        write_whole(&path, &kept)?;
        let events_path = dir.join("tensorboard").join(tensorboard::FILE_NAME);
        fs::create_dir_all(dir.join("tensorboard"))
            .with_context(|| events_path.display().to_string())?;
        let mut events = tensorboard::file_version();
        for line in &lines {
            events.extend(tensorboard::events(line));
        }
        write_whole(&events_path, &events)?;
        Ok(Self {
            jsonl: append(&path)?,
            path,
            events: append(&events_path)?,
            events_path,
            lines,
        })
    }

    /// The lines so far.
    pub fn lines(&self) -> &[MetricsLine] {
        &self.lines
    }

    /// Appends a line to both files, where others can read it at once.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&mut self, line: MetricsLine) -> Result<()> {
        let mut json = serde_json::to_vec(&line)?;
        json.push(b'\n');
        self.jsonl
            .write_all(&json)
            .and_then(|()| self.jsonl.flush())
            .with_context(|| format!("{}: cannot write", self.path.display()))?;
        self.events
            .write_all(&tensorboard::events(&line))
            .and_then(|()| self.events.flush())
            .with_context(|| format!("{}: cannot write", self.events_path.display()))?;
        self.lines.push(line);
        Ok(())
    }

    /// Makes every line durable: called before the checkpoint that comes after them is published.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&mut self) -> Result<()> {
        self.jsonl
            .get_ref()
            .sync_data()
            .with_context(|| format!("{}: cannot write", self.path.display()))
    }
}

/// The lines up to `state`, as bytes and read. Each of them was made durable before the checkpoint that says `state`, so a
/// kill can only have cut the file's last line.
fn history(bytes: &[u8], state: &RunState) -> Result<(Vec<u8>, Vec<MetricsLine>)> {
    let (mut kept, mut lines, mut before) = (Vec::new(), Vec::new(), None);
    for (number, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !text.ends_with(b"\n") {
            break;
        }
        let line: MetricsLine = serde_json::from_slice(text)
            .with_context(|| format!("line {} is no line of metrics", number + 1))?;
        if !is_before(&line, state) {
            continue;
        }
        if let MetricsLine::Step { step, .. } = line {
            if let Some(before) = before
                && step != before + 1
            {
                bail!("line {} is step {step} after step {before}", number + 1);
            }
            before = Some(step);
        }
        kept.extend_from_slice(text);
        lines.push(line);
    }
    match before {
        Some(last) if last != state.steps_done => bail!(
            "its last step is {last}, but the checkpoint was written after step {}",
            state.steps_done
        ),
        _ => Ok((kept, lines)),
    }
}

/// Whether a line was written before the run stood at `state`.
fn is_before(line: &MetricsLine, state: &RunState) -> bool {
    match line {
        MetricsLine::Step { step, .. } | MetricsLine::Warning { step, .. } => {
            *step <= state.steps_done
        }
        // A checkpoint within an epoch may come after its last step and before its line.
        MetricsLine::Epoch { epoch, .. } => *epoch < state.epochs_done,
    }
}

fn append(path: &Path) -> Result<BufWriter<File>> {
    let file = OpenOptions::new().append(true).open(path);
    Ok(BufWriter::new(
        file.with_context(|| path.display().to_string())?,
    ))
}
