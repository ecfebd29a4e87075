//! Loads the pictures of planned batches to the device: read ahead of the step that needs them, or already there.
//!
//! From the shards, a thread gathers each batch into a buffer that is used again, at least two batches ahead, and on
//! CUDA copies it on a stream of its own, so that reading, copying and computing overlap. Or the training pictures were
//! all put on the device once, and a batch is an index. Both give the same bytes. Where frozen stages have been computed
//! once, the thread reads what they gave instead.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::Scope;

use anyhow::Result;
use logodex_dataset::{Dataset, Tables};
use logodex_program::Failure;
use logodex_schemas::dataset::Encoding;
use logodex_schemas::train::{Residency, RuntimeConfig};
use tch::{Device, Kind, Tensor};

use crate::data::batch::BatchPlan;
use crate::data::feature_file::{FeatureFile, Layout};
use crate::torch::cuda::{CopyStream, Upload};
use crate::torch::memory::{free_bytes, host_bytes, upload};

/// Batches that lie ready while one is computed; the thread works on one more.
const AHEAD: usize = 2;
/// Rows that are put on the device at a time.
const ROWS_AT_A_TIME: usize = 256;

/// Where a loader takes its pictures from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The mapped shards.
    Host(&'a Dataset),
    /// The device's own memory.
    Device(&'a Resident),
    /// What frozen stages gave of the pictures.
    Features(&'a FeatureFile),
}

/// A planned batch with its pictures, or with what frozen stages gave of them.
#[derive(Debug)]
pub struct Batch {
    /// What was planned.
    pub plan: BatchPlan,
    /// Pictures, u8 `[rows, side, side, 3]`, or features `[rows, …]`, on the device. On a CPU its memory is filled anew once the batch is dropped, so
    /// nothing may keep a view of it for longer.
    pub input: Tensor,
    _lease: Option<Lease>,
}

/// A buffer that goes back to its reader when the batch is dropped.
#[derive(Debug)]
struct Lease {
    buffer: Tensor,
    home: Sender<Tensor>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The reader is gone when the pass is over.
        let _ = self.home.send(self.buffer.shallow_clone());
    }
}

/// The batches of a pass, in order. An error is the last thing it yields.
pub enum Loader<'a> {
    /// From a thread.
    Read(Receiver<Result<Read>>),
    /// From the device's memory.
    Select(&'a Resident, std::vec::IntoIter<BatchPlan>),
}

/// A batch that was read and is on its way to the device.
pub struct Read {
    plan: BatchPlan,
    /// u8.
    uploaded: Upload,
    /// What the bytes are, where they are no pictures.
    features: Option<(Kind, Vec<i64>)>,
    lease: Option<Lease>,
}

/// Starts to load `plans` to `device`. Dropping the loader ends its thread.
pub fn load<'scope>(
    scope: &'scope Scope<'scope, '_>,
    source: Source<'scope>,
    plans: Vec<BatchPlan>,
    device: Device,
) -> Loader<'scope> {
    match source {
        Source::Device(resident) => Loader::Select(resident, plans.into_iter()),
        Source::Host(dataset) => read_ahead(scope, Stored::Pictures(dataset), plans, device),
        Source::Features(file) => read_ahead(scope, Stored::Features(file), plans, device),
    }
}

fn read_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stored: Stored<'scope>,
    plans: Vec<BatchPlan>,
    device: Device,
) -> Loader<'scope> {
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        let reader = Reader::new(stored, device);
        for plan in plans {
            let read = reader.read(plan);
            let failed = read.is_err();
            // The receiver is gone when the run stops early.
            if sender.send(read).is_err() || failed {
                break;
            }
        }
    });
    Loader::Read(receiver)
}

impl Iterator for Loader<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Read(receiver) => {
                let read = receiver.recv().ok()?;
                Some(read.map(|read| {
                    let bytes = read.uploaded.wait();
                    Batch {
                        plan: read.plan,
                        input: match read.features {
                            None => bytes,
                            Some((kind, shape)) => bytes.view_dtype(kind).view(shape.as_slice()),
                        },
                        _lease: read.lease,
                    }
                }))
            }
            Self::Select(resident, plans) => {
                let plan = plans.next()?;
                Some(resident.select(&plan.rows).map(|input| Batch {
                    plan,
                    input,
                    _lease: None,
                }))
            }
        }
    }
}

/// What batches are read from.
#[derive(Clone, Copy)]
enum Stored<'a> {
    Pictures(&'a Dataset),
    Features(&'a FeatureFile),
}

/// What the reading thread works with.
struct Reader<'a> {
    stored: Stored<'a>,
    device: Device,
    copies: CopyStream,
    /// On a CPU: buffers that came back, and the way back. libtorch sees to pinned ones itself.
    free: Receiver<Tensor>,
    home: Sender<Tensor>,
}

impl<'a> Reader<'a> {
    fn new(stored: Stored<'a>, device: Device) -> Self {
        let (home, free) = channel();
        Self {
            stored,
            device,
            copies: CopyStream::new(device),
            free,
            home,
        }
    }

    fn read(&self, plan: BatchPlan) -> Result<Read> {
        let shape = match self.stored {
            Stored::Pictures(dataset) => shape(dataset, plan.rows.len()).to_vec(),
            Stored::Features(file) => {
                vec![plan.rows.len() as i64, file.layout().output_bytes() as i64]
            }
        };
        // Only an epoch's last batch has another size.
        let mut came_back = self.free.try_iter();
        let mut buffer = match came_back.find(|buffer| buffer.size() == shape) {
            Some(buffer) => buffer,
            None => host_bytes(&shape, self.device)?,
        };
        let features = match self.stored {
            Stored::Pictures(dataset) => {
                gather(dataset, &plan.rows, &mut buffer)?;
                None
            }
            Stored::Features(file) => {
                file.read(&plan.rows, &plan.views, bytes_of(&mut buffer))?;
                let Layout { kind, shape, .. } = file.layout();
                let rows = std::iter::once(plan.rows.len() as i64);
                Some((*kind, rows.chain(shape.iter().copied()).collect()))
            }
        };
        let uploaded = self.copies.upload(&buffer);
        let home = self.home.clone();
        Ok(Read {
            plan,
            uploaded,
            features,
            lease: (self.device == Device::Cpu).then(|| Lease { buffer, home }),
        })
    }
}

fn shape(dataset: &Dataset, rows: usize) -> [i64; 4] {
    let side = dataset.side_px() as i64;
    [rows as i64, side, side, 3]
}

/// Fills a buffer of [`shape`] with rows.
fn gather(dataset: &Dataset, rows: &[u64], buffer: &mut Tensor) -> Result<()> {
    Ok(dataset.gather(rows, bytes_of(buffer))?)
}

/// The memory of a buffer of [`host_bytes`].
fn bytes_of(buffer: &mut Tensor) -> &mut [u8] {
    // SAFETY: the buffer is contiguous u8 of this many elements in main memory. It is new, or came home when its batch was
    // dropped, so nobody else uses it.
    unsafe { std::slice::from_raw_parts_mut(buffer.data_ptr().cast::<u8>(), buffer.numel()) }
}

/// Pictures that live on the device.
#[derive(Debug)]
pub struct Resident {
    /// u8 `[N, side, side, 3]`.
    images_nhwc: Tensor,
    /// The row of each, rising.
    rows: Vec<u64>,
}

/// Finds, before a shard is opened, that pictures cannot live on the device because the shards hold JPEGs.
///
/// # Errors
/// [`Failure::Usage`] naming the key.
pub fn check_residency(tables: &Tables, runtime: &RuntimeConfig) -> Result<(), Failure> {
    if runtime.residency == Residency::Host || tables.manifest().encoding != Encoding::Jpeg {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "runtime.residency = \"device\" needs raw shards, but those of {} hold JPEGs; set it to \"host\", or build the dataset with encoding = \"raw\"",
        tables.dir().display()
    )))
}

impl Resident {
    /// Reads `rows`, in any order and each once, to the device; their CRC-32 are checked as at any first touch.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the device has too little memory, with the numbers; a damaged dataset.
    pub fn load(dataset: &Dataset, mut rows: Vec<u64>, device: Device) -> Result<Self> {
        rows.sort_unstable();
        rows.dedup();
        let needed = (rows.len() * dataset.row_bytes()) as u64;
        let refuse = |free: String| {
            Failure::Usage(format!(
                "runtime.residency = \"device\": {} training pictures need {needed} bytes on the device, {free}; set it to \"host\", or use fewer pictures (data.total_images)",
                rows.len()
            ))
        };
        if let Some(free) = free_bytes(device)
            && needed > free
        {
            return Err(refuse(format!("which has {free} bytes free")).into());
        }
        let images_nhwc = Tensor::f_empty(shape(dataset, rows.len()), (Kind::Uint8, device))
            .map_err(|e| refuse(format!("which refuses: {e}")))?;
        let staging = host_bytes(&shape(dataset, ROWS_AT_A_TIME.min(rows.len())), device)?;
        let mut filled = 0;
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            let n = rows.len() as i64;
            let mut some = staging.narrow(0, 0, n);
            gather(dataset, rows, &mut some)?;
            images_nhwc.narrow(0, filled, n).f_copy_(&some)?;
            filled += n;
        }
        Ok(Self { images_nhwc, rows })
    }

    /// u8 `[rows.len(), side, side, 3]`: copies of these pictures, on the device.
    ///
    /// # Errors
    /// A row that is not among those loaded.
    pub fn select(&self, rows: &[u64]) -> Result<Tensor> {
        let position = |row: &u64| {
            let found = self.rows.binary_search(row);
            found.map(|position| position as i64)
        };
        let positions: Result<Vec<i64>, usize> = rows.iter().map(position).collect();
        let positions = positions
            .map_err(|_| anyhow::anyhow!("a row was asked for that was not put on the device"))?;
        let device = self.images_nhwc.device();
        let positions = upload(Tensor::from_slice(&positions), device);
        Ok(self.images_nhwc.f_index_select(0, &positions)?)
    }
}
