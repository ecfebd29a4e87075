//! Remembers embeddings of past batches as further references of a pair loss: cross-batch memory (Wang et al. 2020,
//! "Cross-Batch Memory for Embedding Learning"). Features drift slowly once training has settled, so old ones still
//! tell.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use logodex_schemas::train::MemoryConfig;
use tch::{Device, Kind, Tensor};

const EMBEDDINGS: &str = "memory.embeddings";
const LABELS: &str = "memory.labels";
const PHOTOGRAPHS: &str = "memory.photographs";
const SEEN: &str = "memory.seen";

/// A ring of the last embeddings with their labels.
#[derive(Debug)]
pub struct CrossBatchMemory {
    /// fp32 `[size, D]`, no gradient.
    embeddings: Tensor,
    /// i64 `[size]`.
    labels: Tensor,
    /// i64 `[size]`, where they are asked for.
    photographs: Option<Tensor>,
    /// Embeddings that ever came in.
    seen: i64,
    start_step: u64,
}

/// What a memory offers as references.
#[derive(Debug)]
pub struct Remembered {
    /// fp32 `[R, D]`, the batch's own among them.
    pub embeddings: Tensor,
    /// i64 `[R]`.
    pub labels: Tensor,
    /// i64 `[R]`, where they are remembered.
    pub photographs: Option<Tensor>,
    /// Where each of the batch's own lies, i64 `[B]`.
    pub own: Tensor,
}

impl CrossBatchMemory {
    /// An empty memory of embeddings with `dim` numbers, and of their photographs if asked for.
    pub fn new(config: &MemoryConfig, dim: i64, photographs: bool, device: Device) -> Self {
        let size = i64::from(config.size);
        let numbers = || Tensor::zeros([size], (Kind::Int64, device));
        Self {
            photographs: photographs.then(numbers),
            embeddings: Tensor::zeros([size, dim], (Kind::Float, device)),
            labels: numbers(),
            seen: 0,
            start_step: config.start_step,
        }
    }

    /// Takes in a batch, `[B, D]`, `[B]` and, where they are asked for, `[B]`, over the oldest; once `step` steps have come to the start, returns all
    /// that is there. The batch is at most as large as the memory.
    pub fn remember(
        &mut self,
        embeddings: &Tensor,
        labels: &Tensor,
        photographs: Option<&Tensor>,
        step: u64,
    ) -> Option<Remembered> {
        let _no_grad = tch::no_grad_guard();
        let (size, batch) = (self.labels.size()[0], labels.size()[0]);
        let own = Tensor::arange(batch, (Kind::Int64, labels.device()));
        let own = (own + self.seen % size).remainder(size);
        let _ = self
            .embeddings
            .index_copy_(0, &own, &embeddings.detach().to_kind(Kind::Float));
        let _ = self.labels.index_copy_(0, &own, labels);
        if let Some((ring, photographs)) = self.photographs.as_mut().zip(photographs) {
            let _ = ring.index_copy_(0, &own, photographs);
        }
        self.seen += batch;
        let filled = self.seen.min(size);
        // Copies: the next batch writes into the ring, while autograd may still hold these.
        (step >= self.start_step).then(|| Remembered {
            embeddings: self.embeddings.narrow(0, 0, filled).copy(),
            labels: self.labels.narrow(0, 0, filled).copy(),
            photographs: self
                .photographs
                .as_ref()
                .map(|p| p.narrow(0, 0, filled).copy()),
            own,
        })
    }

    /// What a checkpoint keeps.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::from([
            (EMBEDDINGS.to_owned(), self.embeddings.copy()),
            (LABELS.to_owned(), self.labels.copy()),
            (SEEN.to_owned(), Tensor::from(self.seen)),
        ]);
        if let Some(photographs) = &self.photographs {
            state.insert(PHOTOGRAPHS.to_owned(), photographs.copy());
        }
        state
    }

    /// Takes what [`Self::state`] gave out of `state`.
    ///
    /// # Errors
    /// An entry is missing or of another shape.
    pub fn load_state(&mut self, state: &mut BTreeMap<String, Tensor>) -> Result<()> {
        let mut entry = |name: &str| {
            let entry = state.remove(name);
            entry.with_context(|| format!("the checkpoint has no `{name}`"))
        };
        let (embeddings, labels, seen) = (entry(EMBEDDINGS)?, entry(LABELS)?, entry(SEEN)?);
        if let Some(ring) = &mut self.photographs {
            let photographs = entry(PHOTOGRAPHS)?;
            tch::no_grad(|| ring.f_copy_(&photographs)).context(PHOTOGRAPHS)?;
        }
        ensure!(
            embeddings.size() == self.embeddings.size()
                && labels.size() == self.labels.size()
                && seen.numel() == 1,
            "the checkpoint's memory is {:?} instead of {:?}",
            embeddings.size(),
            self.embeddings.size()
        );
        tch::no_grad(|| {
            self.embeddings.copy_(&embeddings);
            self.labels.copy_(&labels);
        });
        self.seen = seen.int64_value(&[]);
        Ok(())
    }
}
