//! The format of before torch 1.6: pickles one after the other, and behind them the storages in the order of their keys,
//! each its number of elements (i64) and then these.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};
use tch::Tensor;

use super::description::{Description, Storage, check, length_of, view};
use super::pickle::{self, MAX_PICKLE};

/// Every tensor of a file of `length` bytes.
pub(super) fn load<R: Read + Seek>(mut file: R, length: u64) -> Result<BTreeMap<String, Tensor>> {
    let mut start = Vec::new();
    file.by_ref().take(MAX_PICKLE).read_to_end(&mut start)?;
    let described = pickle::legacy(&start)?;
    let wanted = storages(&described.tensors)?;
    file.seek(SeekFrom::Start(described.length))?;
    let mut left = length - described.length;
    let mut numbers: BTreeMap<&str, Tensor> = BTreeMap::new();
    for key in &described.keys {
        let mut read = || -> Result<Tensor> {
            let storage = wanted
                .get(key.as_str())
                .context("no tensor is described in it, so its numbers are of no known kind")?;
            ensure!(!numbers.contains_key(key.as_str()), "it comes twice");
            read_storage(&mut file, storage, &mut left)
        };
        let storage = read().with_context(|| format!("storage {}", key.escape_debug()))?;
        numbers.insert(key, storage);
    }
    ensure!(left == 0, "{left} bytes come after its last storage");
    let mut tensors = BTreeMap::new();
    for (name, description) in &described.tensors {
        let storage = numbers.get(description.storage.key.as_str());
        let tensor = storage
            .context("its storage is not among those that follow")
            .and_then(|numbers| view(numbers, description))
            .with_context(|| format!("tensor {}", name.escape_debug()))?;
        tensors.insert(name.clone(), tensor);
    }
    Ok(tensors)
}

/// The storages of all tensors by their keys, each described in one way.
fn storages(tensors: &BTreeMap<String, Description>) -> Result<BTreeMap<&str, &Storage>> {
    let mut storages = BTreeMap::new();
    for (name, description) in tensors {
        let storage = &description.storage;
        check(description)
            .and_then(|()| {
                let first = *storages.entry(storage.key.as_str()).or_insert(storage);
                ensure!(first == storage, "its storage is described in two ways");
                Ok(())
            })
            .with_context(|| format!("tensor {}", name.escape_debug()))?;
    }
    Ok(storages)
}

/// `[numel]`, from the next bytes. Memory is taken as bytes arrive, so it is bounded by the file's length.
fn read_storage<R: Read>(file: &mut R, storage: &Storage, left: &mut u64) -> Result<Tensor> {
    let length = length_of(storage)?;
    *left = length
        .checked_add(8)
        .and_then(|needed| left.checked_sub(needed))
        .context("the file ends too early")?;
    let mut numel = [0; 8];
    file.read_exact(&mut numel)?;
    let numel = i64::from_le_bytes(numel);
    ensure!(
        numel == storage.numel,
        "it has {numel} numbers instead of {}",
        storage.numel
    );
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 == length, "the file ends too early");
    Ok(Tensor::f_from_data_size(
        &bytes,
        &[storage.numel],
        storage.kind,
    )?)
}
