//! Reads named tensors from a `.pth` file: a state dict as `torch.save` writes it, since torch 1.6 or before.
//!
//! It is a zip archive: `<name>/data.pkl`, a pickle that describes tensors as views of storages, and
//! `<name>/data/<key>`, each storage's numbers; or, before 1.6, pickles with the numbers behind them (`legacy`). In
//! Python, reading one runs a program. Here the pickle can describe tensors and do nothing else (`pickle`), and no
//! description is believed before its storage was measured.

mod description;
mod legacy;
mod machine;
mod pickle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::Tensor;
use zip::{CompressionMethod, ZipArchive};

use description::{Storage, check, length_of, view};
use pickle::{LEGACY, MAX_PICKLE};

const ZIP: &[u8] = b"PK\x03\x04";

/// Whether the file begins as one that `torch.save` writes or once wrote.
///
/// # Errors
/// It cannot be read.
pub fn is_torch_file(path: &Path) -> Result<bool> {
    let context = || format!("{}: cannot be read", path.display());
    let mut start = Vec::new();
    let file = File::open(path).with_context(context)?;
    file.take(LEGACY.len() as u64)
        .read_to_end(&mut start)
        .with_context(context)?;
    Ok(start.starts_with(ZIP) || start == LEGACY)
}

/// Every tensor of a state dict, on the CPU, with its own shape and kind; some may be views of one storage.
///
/// # Errors
/// The file cannot be read, is damaged, or holds anything else than a dictionary of tensors.
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    File::open(path)
        .map_err(Into::into)
        .and_then(|file| load(BufReader::new(file)))
        .with_context(|| format!("{}: is not a state dict that can be read", path.display()))
}

fn load<R: Read + Seek>(mut file: R) -> Result<BTreeMap<String, Tensor>> {
    let mut room = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut start = [0; ZIP.len()];
    file.read_exact(&mut start)?;
    file.rewind()?;
    if start != ZIP {
        return legacy::load(file, room);
    }
    let mut archive = ZipArchive::new(file).context("the zip archive is damaged")?;
    let pickle_name = archive
        .file_names()
        .find(|name| {
            name.split_once('/')
                .is_some_and(|(_, rest)| rest == "data.pkl")
        })
        .context("the zip archive has no data.pkl")?
        .to_owned();
    let folder = pickle_name.trim_end_matches("data.pkl");
    let byte_order = format!("{folder}byteorder");
    if archive.file_names().any(|name| name == byte_order) {
        let order = entry(&mut archive, &byte_order, 16)?;
        ensure!(order == b"little", "its numbers are not little-endian");
    }
    let described = pickle::state_dict(&entry(&mut archive, &pickle_name, MAX_PICKLE)?)?;

    let mut storages: BTreeMap<String, (Storage, Tensor)> = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for (name, description) in described {
        let tensor = (|| {
            check(&description)?;
            let storage = &description.storage;
            let (first, numbers) = match storages.get(&storage.key) {
                Some(known) => known,
                None => {
                    // Entries that overlap would make much of little.
                    let length = length_of(storage)?;
                    room = room
                        .checked_sub(length)
                        .context("its storages are longer than the file")?;
                    let numbers = read_storage(&mut archive, folder, storage, length)?;
                    storages
                        .entry(storage.key.clone())
                        .or_insert((storage.clone(), numbers))
                }
            };
            ensure!(first == storage, "its storage is described in two ways");
            view(numbers, &description)
        })()
        .with_context(|| format!("tensor {}", name.escape_debug()))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// `[numel]`, from exactly as many bytes as the pickle says.
fn read_storage<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    folder: &str,
    storage: &Storage,
    length: u64,
) -> Result<Tensor> {
    let name = format!("{folder}data/{}", storage.key);
    let bytes = entry(archive, &name, length)?;
    ensure!(
        bytes.len() as u64 == length,
        "its storage {name} has {} bytes instead of {length}",
        bytes.len()
    );
    Ok(Tensor::f_from_data_size(
        &bytes,
        &[storage.numel],
        storage.kind,
    )?)
}

/// The whole of an entry of at most `limit` bytes. Memory is taken as bytes arrive, so it is bounded by the file's
/// length.
fn entry<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str, limit: u64) -> Result<Vec<u8>> {
    let context = || format!("the archive's {}", name.escape_debug());
    let entry = archive.by_name(name).with_context(context)?;
    ensure!(
        entry.compression() == CompressionMethod::Stored,
        "the archive's {} is compressed, which torch.save never does",
        name.escape_debug()
    );
    let mut bytes = Vec::new();
    entry
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    ensure!(
        bytes.len() as u64 <= limit,
        "the archive's {} has more than {limit} bytes",
        name.escape_debug()
    );
    Ok(bytes)
}
