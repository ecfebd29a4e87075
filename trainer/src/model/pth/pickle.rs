//! Runs the pickles of a state dict, on a machine that can describe tensors and do nothing else (`machine`).

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::description::Description;
use super::machine::{Machine, Ref, Value};

/// A pickle of protocol 2 that begins with torch's magic number: `torch.save` before 1.6.
pub(super) const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// A ResNet-152's pickle has about 100 KB.
pub(super) const MAX_PICKLE: u64 = 1 << 20;

/// Runs the pickle of a state dict and returns the tensors that it describes, by name.
///
/// # Errors
/// Whatever is not a dictionary of tensors: the message says what was met instead.
pub(super) fn state_dict(pickle: &[u8]) -> Result<BTreeMap<String, Description>> {
    let mut machine = Machine::new(pickle);
    let root = machine.run()?;
    tensors_of(&machine, root)
}

fn tensors_of(machine: &Machine<'_>, root: Ref) -> Result<BTreeMap<String, Description>> {
    let Value::Dict(items) = machine.value(root) else {
        bail!("the pickle is no dictionary of tensors");
    };
    let mut tensors = BTreeMap::new();
    let mut others = Vec::new();
    for (key, value) in items {
        let Value::Text(name) = machine.value(*key) else {
            bail!("the pickle is a dictionary whose keys are no names");
        };
        match machine.value(*value) {
            Value::Tensor(tensor) => drop(tensors.insert(name.clone(), tensor.clone())),
            _ => others.push(name.as_str()),
        }
    }
    ensure!(
        others.is_empty(),
        "holds more than a state dict ({}): load it in Python and torch.save the state dict alone",
        others[..others.len().min(8)].join(", ")
    );
    Ok(tensors)
}

/// What stands before the numbers in a file of before torch 1.6.
pub(super) struct Legacy {
    /// By name.
    pub(super) tensors: BTreeMap<String, Description>,
    /// Keys of the storages, in the order in which their numbers follow.
    pub(super) keys: Vec<String>,
    /// Bytes of all its pickles.
    pub(super) length: u64,
}

/// Runs the pickles that such a file begins with, behind torch's magic number: the format's version, what the numbers are
/// like, the state dict, and the keys of its storages.
///
/// # Errors
/// As [`state_dict`]; another version, or numbers of another byte order.
pub(super) fn legacy(start: &[u8]) -> Result<Legacy> {
    /// Of `torch.serialization`.
    const VERSION: i64 = 1001;
    let magic = start.strip_prefix(LEGACY);
    let mut rest = magic
        .and_then(|rest| rest.strip_prefix(b"."))
        .context("it does not begin as torch.save's files do")?;
    let mut next = || -> Result<(Machine<'_>, Ref)> {
        let mut machine = Machine::new(rest);
        let root = machine.run()?;
        rest = machine.rest();
        Ok((machine, root))
    };
    let (machine, version) = next()?;
    match machine.value(version) {
        Value::Int(VERSION) => {}
        other => bail!("its format is {other:?} instead of version {VERSION}"),
    }
    let (machine, system) = next()?;
    ensure!(
        is_little_endian(&machine, system),
        "its numbers are not little-endian"
    );
    let (machine, root) = next()?;
    let tensors = tensors_of(&machine, root)?;
    let (machine, keys) = next()?;
    let keys = machine.sequence(keys)?;
    let keys = keys.iter().map(|key| match machine.value(*key) {
        Value::Text(key) => Ok(key.clone()),
        _ => bail!("a key of its storages is no text"),
    });
    Ok(Legacy {
        tensors,
        keys: keys
            .collect::<Result<_>>()
            .context("the list of storages")?,
        length: (start.len() - rest.len()) as u64,
    })
}

fn is_little_endian(machine: &Machine<'_>, system: Ref) -> bool {
    let Value::Dict(items) = machine.value(system) else {
        return false;
    };
    items.iter().any(|(key, value)| {
        let key = machine.value(*key);
        matches!(key, Value::Text(key) if key == "little_endian")
            && matches!(machine.value(*value), Value::Bool(true))
    })
}
