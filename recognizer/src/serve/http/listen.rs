//! Connections: taken up, watched over while their requests are slow to come, and let finish at the end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// The most connections at a time; one more waits in the system's queue.
const CONNECTIONS: usize = 512;
/// Bytes of a request's head: browsers send one or two KiB.
const HEAD: usize = 32 << 10;

/// Serves until SIGTERM or SIGINT; then no connection is taken up any more, and what is being answered is answered.
/// `patience` is how long a head of a request may take to come, and how long the last answers may take.
///
/// # Errors
/// Signals that cannot be listened to.
pub async fn run(listener: TcpListener, router: Router, patience: Duration) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("listening to SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("listening to SIGINT")?;
    let mut stop = pin!(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No file descriptor is left, or the client is gone again: others go on.
                tracing::warn!(%error, "a connection could not be taken up");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small: none waits for another packet to go with.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that breaks off or is too slow ends its own connection.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    tracing::info!("stopping: what is being answered is answered");
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some clients did not take their answers in time");
    }
    Ok(())
}
