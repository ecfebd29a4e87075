//! What a program prints: results on standard output, everything else on standard error. Neither ends the work: a closed
//! pipe is a reader that has read enough, and results that get lost otherwise fail the command when its work is done.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use clap::Parser;

/// Why results were lost, if they were.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints results, as they are: a line brings its own end.
pub fn print(text: impl Display) {
    let mut out = io::stdout().lock();
    keep(write!(out, "{text}").and_then(|()| out.flush()));
}

/// Tells a person something on standard error, if anybody listens. As [`print`], it ends no line.
pub fn say(text: impl Display) {
    let _ = write!(io::stderr().lock(), "{text}");
}

/// Standard error for logs: a line that nobody can read is lost, and no error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listener;

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole program: parses what was typed, does it, and says what went wrong, once.
pub fn run<C: Parser>(
    work: impl FnOnce(C) -> Result<()>,
    exit_code: impl Fn(&anyhow::Error) -> u8,
) -> ExitCode {
    let done = match C::try_parse() {
        Ok(cli) => work(cli),
        Err(slip) if slip.use_stderr() => {
            let _ = slip.print();
            return ExitCode::from(2);
        }
        // --help and --version.
        Err(text) => {
            keep(text.print().and_then(|()| io::stdout().flush()));
            Ok(())
        }
    };
    match done.and_then(|()| all_was_printed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = exit_code(&error);
            let word = if code > 128 { "stopped" } else { "error" };
            say(format_args!("{word}: {error:#}\n"));
            ExitCode::from(code)
        }
    }
}

fn keep(printed: io::Result<()>) {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = LOST.set(error);
        }
        _ => {}
    }
}

fn all_was_printed() -> Result<()> {
    match LOST.get() {
        Some(error) => {
            bail!(
                "the work is done, but what it prints cannot be written to standard output: {error}"
            )
        }
        None => Ok(()),
    }
}
