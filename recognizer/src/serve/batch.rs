//! Pictures that arrive together are embedded together: while one batch is computed the next gathers, and nobody waits for
//! company.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, oneshot};

use super::http::problem::Problem;

/// Embeds squares: `[n, side, side, 3]` to `[n, dim]`.
pub type Embed = Box<dyn FnMut(&[u8], usize) -> Result<Vec<f32>> + Send>;

type Answer = Result<Vec<Vec<f32>>, Arc<anyhow::Error>>;

struct Job {
    /// One or several, `[n, side, side, 3]`.
    squares: Vec<u8>,
    n: usize,
    answer: oneshot::Sender<Answer>,
}

/// The one thread that has the model.
#[derive(Debug)]
pub struct Batcher {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    square: usize,
}

impl Batcher {
    /// Starts the thread. `square` is the bytes of one picture; a batch has `most` pictures, or as many as one request
    /// brings; `queue` requests may wait.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(embed: Embed, square: usize, most: usize, queue: usize) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(queue);
        let thread = std::thread::Builder::new()
            .name("embed".to_owned())
            .spawn(move || work(embed, waiting, most))
            .context("starting the thread that embeds")?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            square,
        })
    }

    /// The embeddings of some squares, in their order.
    ///
    /// # Errors
    /// 429 if too many wait already; 500 if the model fails.
    pub async fn embed(&self, squares: Vec<u8>) -> Result<Vec<Vec<f32>>, Problem> {
        let n = squares.len() / self.square;
        let (answer, answered) = oneshot::channel();
        let job = Job { squares, n, answer };
        let jobs = self.jobs.as_ref().expect("it is there until it is dropped");
        jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Problem::busy("more pictures wait than are embedded in time; ask again")
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        let embeddings = answered.await.map_err(|_| gone())?;
        embeddings.map_err(|error| Problem::internal(format!("the model failed: {error:#}")))
    }

    /// Whether the thread still works.
    pub fn is_alive(&self) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| !jobs.is_closed())
    }
}

impl Drop for Batcher {
    /// What was sent is finished.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> Problem {
    Problem::internal("the thread that embeds has ended; the server must be started again")
}

fn work(mut embed: Embed, mut jobs: mpsc::Receiver<Job>, most: usize) {
    // Kept from batch to batch.
    let mut squares = Vec::new();
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        let mut n = batch[0].n;
        while n < most
            && let Ok(job) = jobs.try_recv()
        {
            n += job.n;
            batch.push(job);
        }
        // Who has gone away or waited too long needs no answer any more.
        batch.retain(|job| !job.answer.is_closed());
        let n = batch.iter().map(|job| job.n).sum::<usize>();
        if n == 0 {
            continue;
        }
        squares.clear();
        for job in &batch {
            squares.extend_from_slice(&job.squares);
        }
        let from = Instant::now();
        let embedded = embed(&squares, n);
        metrics::histogram!("logodex_embed_seconds").record(from.elapsed());
        metrics::histogram!("logodex_batch_pictures").record(n as f64);
        match embedded {
            Ok(embeddings) => {
                let mut rows = embeddings.chunks_exact(embeddings.len() / n);
                for job in batch {
                    let own = rows.by_ref().take(job.n).map(<[f32]>::to_vec).collect();
                    let _ = job.answer.send(Ok(own));
                }
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    pictures = n,
                    "the model failed"
                );
                let error = Arc::new(error);
                for job in batch {
                    let _ = job.answer.send(Err(Arc::clone(&error)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc as blocking;
    use std::time::Duration;

    use super::*;

    /// A model whose embedding of a picture is its byte; it notes its batches and waits before each for a word.
    fn model(
        batches: Arc<Mutex<Vec<usize>>>,
        begun: blocking::Sender<()>,
        go: blocking::Receiver<()>,
    ) -> Embed {
        Box::new(move |squares, n| {
            begun.send(()).unwrap();
            go.recv_timeout(Duration::from_secs(20)).unwrap();
            batches.lock().unwrap().push(n);
            anyhow::ensure!(!squares.contains(&13), "thirteen");
            Ok(squares.iter().map(|&x| f32::from(x)).collect())
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_waits_is_one_batch_and_each_gets_its_own() {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let (begun, has_begun) = blocking::channel();
        let (say, go) = blocking::channel();
        let embed = model(Arc::clone(&batches), begun, go);
        let batcher = Arc::new(Batcher::start(embed, 1, 4, 8).unwrap());
        let ask = |squares: Vec<u8>| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.embed(squares).await })
        };
        let first = ask(vec![7]);
        has_begun.recv_timeout(Duration::from_secs(20)).unwrap();
        // While the first is computed: three that come together, one of them gone again, one of two pictures.
        let gone = ask(vec![9]);
        let waiting: Vec<_> = (1..=2).map(|x| ask(vec![x])).collect();
        let two = ask(vec![3, 4]);
        while batcher.jobs.as_ref().unwrap().capacity() > 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gone.abort();
        let _ = gone.await;
        for _ in 0..3 {
            say.send(()).unwrap();
        }
        assert_eq!(first.await.unwrap().unwrap(), [[7.0]]);
        for (x, answer) in (1..=2).zip(waiting) {
            assert_eq!(answer.await.unwrap().unwrap(), [[x as f32]]);
        }
        assert_eq!(two.await.unwrap().unwrap(), [[3.0], [4.0]]);
        assert_eq!(batches.lock().unwrap()[0], 1);
        assert_eq!(batches.lock().unwrap().iter().sum::<usize>(), 5);
        assert!(batches.lock().unwrap().len() <= 3, "{batches:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_is_told_and_a_failure_ends_nothing() {
        let (begun, has_begun) = blocking::channel();
        let (say, go) = blocking::channel();
        let embed = model(Arc::default(), begun, go);
        let batcher = Arc::new(Batcher::start(embed, 1, 4, 1).unwrap());
        let failing = tokio::spawn({
            let batcher = Arc::clone(&batcher);
            async move { batcher.embed(vec![13]).await }
        });
        has_begun.recv_timeout(Duration::from_secs(20)).unwrap();
        let waiting = tokio::spawn({
            let batcher = Arc::clone(&batcher);
            async move { batcher.embed(vec![5]).await }
        });
        while batcher.jobs.as_ref().unwrap().capacity() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let refused = batcher.embed(vec![6]).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 429);
        say.send(()).unwrap();
        say.send(()).unwrap();
        let failed = failing.await.unwrap().unwrap_err();
        assert_eq!(failed.status().as_u16(), 500);
        assert!(failed.detail().contains("thirteen"));
        assert_eq!(waiting.await.unwrap().unwrap(), [[5.0]]);
        assert!(batcher.is_alive());
    }
}
