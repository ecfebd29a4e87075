//! An exported model, run by ONNX Runtime: squares in, embeddings of length one out.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use logodex_program::{onnxruntime, usage};
use logodex_schemas::onnx::{self, INPUT, ModelMetadata, OUTPUT};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

/// Squares per run of the network: more at once are no faster on a processor, and take more memory.
const BATCH: usize = 32;

/// An exported model. It can be shared between threads; they take turns.
pub struct Model {
    metadata: ModelMetadata,
    session: Mutex<Session>,
}

impl Model {
    /// Opens a file that `logodex-train export` wrote. `threads` compute, 0 for one per core.
    ///
    /// # Errors
    /// [`logodex_program::Failure::Usage`] where there is no such file, or it is no such model, or ONNX Runtime is not there.
    pub fn open(path: &Path, threads: usize) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|error| usage(format!("{}: {error}", path.display())))?;
        let metadata = onnx::read(&bytes)
            .map_err(|error| usage(format!("{}: not a usable model: {error}", path.display())))?;
        let session = session(&bytes, threads)
            .with_context(|| format!("{}: ONNX Runtime does not take it", path.display()))?;
        Ok(Self {
            metadata,
            session: Mutex::new(session),
        })
    }

    /// What the file says of itself.
    pub fn metadata(&self) -> &ModelMetadata {
        &self.metadata
    }

    /// Embedding size D.
    pub fn dim(&self) -> usize {
        self.metadata.embedding_dim as usize
    }

    /// Bytes of a square: side × side × 3.
    pub fn square_bytes(&self) -> usize {
        let side = self.metadata.preprocessing.side as usize;
        side * side * 3
    }

    /// Embeddings of length one, `[N, D]`, of squares `[N, side, side, 3]`, RGB.
    ///
    /// # Errors
    /// What ONNX Runtime reports, or embeddings that are not finite.
    ///
    /// # Panics
    /// If `squares` is no whole number of squares: a mistake of the caller.
    pub fn embed(&self, squares: &[u8]) -> Result<Vec<f32>> {
        let size = self.square_bytes();
        assert_eq!(squares.len() % size, 0);
        let side = i64::from(self.metadata.preprocessing.side);
        let mut embeddings = Vec::with_capacity(squares.len() / size * self.dim());
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in squares.chunks(BATCH * size) {
            let n = batch.len() / size;
            let shape = [n as i64, side, side, 3];
            let input = TensorRef::from_array_view((shape, batch))?;
            let outputs = session.run(ort::inputs![INPUT => input])?;
            let output = outputs
                .get(OUTPUT)
                .with_context(|| format!("the model gives no {OUTPUT:?}"))?;
            let (shape, values) = output.try_extract_tensor::<f32>()?;
            ensure!(
                shape[..] == [n as i64, self.dim() as i64],
                "the model gives {shape:?} for {n} pictures, expected [{n}, {}]",
                self.dim()
            );
            if values.iter().any(|value| !value.is_finite()) {
                bail!("the model gives embeddings that are not finite: its weights have diverged");
            }
            embeddings.extend_from_slice(values);
        }
        Ok(embeddings)
    }
}

/// A session of a model's bytes, on `threads` threads, 0 for one per core.
///
/// # Errors
/// ONNX Runtime is not there, or does not take the model.
pub fn session(onnx: &[u8], threads: usize) -> Result<Session> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        given => given,
    };
    let builder = Session::builder(&environment()?)?;
    let mut builder = builder
        .with_intra_threads(threads)
        .map_err(|error| anyhow!("{error}"))?;
    Ok(builder.commit_from_memory(onnx)?)
}

/// ONNX Runtime, opened once for the process, which may not have it twice.
fn environment() -> Result<Environment> {
    static OPENED: Mutex<Option<Environment>> = Mutex::new(None);
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*opened {
        return Ok(environment.clone());
    }
    let library = onnxruntime::library()?;
    let context = || format!("{}: no usable ONNX Runtime", library.display());
    let builder = ort::init_from(&library).with_context(context)?;
    let environment = builder.with_name("logodex").build().with_context(context)?;
    *opened = Some(environment.clone());
    Ok(environment)
}
