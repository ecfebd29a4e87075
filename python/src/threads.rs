//! Threads to work on, in processes that may have been forked: a child has none of its parent's threads, and would wait for
//! them for ever. A worker of a `DataLoader`, forked or spawned, is one of several, and works on one thread.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{LogodexError, of_any};

/// How often Python is asked whether somebody pressed Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(100);

/// The process that imported the module.
static IMPORTED_BY: AtomicU32 = AtomicU32::new(0);
/// Whether `multiprocessing` started that process.
static SPAWNED: AtomicBool = AtomicBool::new(false);
/// The threads, and the process that they are of.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// To be told once, when the module is imported.
pub fn imported(py: Python<'_>) -> PyResult<()> {
    let parent = py
        .import("multiprocessing")?
        .call_method0("parent_process")?;
    SPAWNED.store(!parent.is_none(), Ordering::Relaxed);
    IMPORTED_BY.store(std::process::id(), Ordering::Relaxed);
    Ok(())
}

/// Whether this process is one of several that share the machine.
pub fn is_worker() -> bool {
    SPAWNED.load(Ordering::Relaxed) || IMPORTED_BY.load(Ordering::Relaxed) != std::process::id()
}

/// Does parallel work on the threads of this process.
pub fn parallel<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    Ok(pool()?.install(work))
}

fn pool() -> Result<Arc<ThreadPool>> {
    let process = std::process::id();
    let mut made = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, pool)) = &*made
        && *of == process
    {
        return Ok(Arc::clone(pool));
    }
    let threads = if is_worker() { 1 } else { 0 };
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(threads).build()?);
    let before = made.replace((process, Arc::clone(&pool)));
    // The parent's threads are not here to be ended.
    std::mem::forget(before);
    Ok(pool)
}

/// Works on other threads and raises `KeyboardInterrupt` as soon as Ctrl-C is pressed; the work is then left to end by itself.
pub fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let (send, receive) = std::sync::mpsc::channel();
    let pool = pool().map_err(|error| of_any(&error))?;
    pool.spawn(move || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // Nobody listens any more after Ctrl-C.
        let _ = send.send(done);
    });
    // A receiver may be used by one thread at a time, which Python's lock does not promise the compiler.
    let receive = Mutex::new(receive);
    loop {
        let said = py.detach(|| {
            let receive = receive.lock().unwrap_or_else(PoisonError::into_inner);
            receive.recv_timeout(SIGNALS)
        });
        match said {
            Ok(Ok(done)) => return done.map_err(|error| of_any(&error)),
            Ok(Err(_)) => {
                return Err(LogodexError::new_err(
                    "a mistake of ours: the work panicked; what it said stands above",
                ));
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(error) => return Err(of_any(&anyhow!(error))),
        }
    }
}
