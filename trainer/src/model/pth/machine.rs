//! The stack machine of pickle, without the means to do anything.
//!
//! It knows the opcodes that `torch.save` writes (protocol 2) and four names that it may call, each of which only makes a
//! dictionary or describes a tensor. Values lie in one list and refer to each other by their place in it, so that nothing
//! a file says nests deeper than this program's own stack.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use tch::Kind;

use super::description::{Description, Storage, storage_kind};

/// Longest text; names of tensors have some thirty bytes.
const MAX_TEXT: usize = 1024;
/// Longest key of a storage, which is copied for each tensor; torch writes decimal numbers.
const MAX_KEY: usize = 32;
/// Most dimensions of a tensor, which are copied likewise.
const MAX_DIMS: usize = 8;

/// A place in the list of values.
pub(super) type Ref = usize;

#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(String),
    /// A tuple or list.
    Sequence(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageKind(Kind),
    Storage(Storage),
    Tensor(Description),
}

pub(super) struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Ref>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Ref>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(pickle: &'a [u8]) -> Self {
        Self {
            rest: pickle,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        }
    }

    /// Runs one pickle to its end, and gives what it made; what comes behind it is [`Self::rest`].
    pub(super) fn run(&mut self) -> Result<Ref> {
        ensure!(
            self.bytes(2)? == [0x80, 2],
            "the pickle is not of protocol 2, which torch.save writes"
        );
        loop {
            match self.byte()? {
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.push(Value::None),
                truth @ (0x88 | 0x89) => self.push(Value::Bool(truth == 0x88)),
                b'}' => self.push(Value::Dict(Vec::new())),
                b')' | b']' => self.push(Value::Sequence(Vec::new())),
                b'K' => {
                    let n = self.byte()?;
                    self.push(Value::Int(n.into()));
                }
                b'M' => {
                    let n = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(n.into()));
                }
                b'J' => {
                    let n = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(n.into()));
                }
                0x8a => self.long()?,
                b'G' => {
                    self.bytes(8)?;
                    self.push(Value::Float);
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?) as usize;
                    ensure!(
                        length <= MAX_TEXT,
                        "the pickle has a text of {length} bytes"
                    );
                    let text = std::str::from_utf8(self.bytes(length)?)?.to_owned();
                    self.push(Value::Text(text));
                }
                b'c' => self.global()?,
                b'q' => {
                    let place = self.byte()?;
                    self.memoize(place.into())?;
                }
                b'r' => {
                    let place = u32::from_le_bytes(self.array()?);
                    self.memoize(place)?;
                }
                b'h' => {
                    let place = self.byte()?;
                    self.recall(place.into())?;
                }
                b'j' => {
                    let place = u32::from_le_bytes(self.array()?);
                    self.recall(place)?;
                }
                b't' => {
                    let items = self.pop_marked()?;
                    self.push(Value::Sequence(items));
                }
                count @ 0x85..=0x87 => {
                    let from = self.stack.len().checked_sub(usize::from(count - 0x84));
                    let items = self.stack.split_off(from.context("the stack is empty")?);
                    self.push(Value::Sequence(items));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend_list(&[item])?;
                }
                b'e' => {
                    let items = self.pop_marked()?;
                    self.extend_list(&items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.extend_dict(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_marked()?;
                    self.extend_dict(&items)?;
                }
                b'b' => {
                    // A state dict's `_metadata`: versions of the modules.
                    self.pop()?;
                    ensure!(
                        matches!(self.top()?, Value::Dict(_)),
                        "the pickle sets attributes of something that is no dictionary"
                    );
                }
                b'Q' => self.persistent()?,
                b'R' => self.call()?,
                other => bail!("the pickle has the opcode {other:#04x}, which no state dict needs"),
            }
            ensure!(
                self.marks
                    .last()
                    .is_none_or(|mark| *mark <= self.stack.len()),
                "the pickle takes from below a mark"
            );
        }
    }

    /// A name that may be called. Any other is refused here, before anything is done with it.
    fn global(&mut self) -> Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        let value = match (module, name) {
            ("collections", "OrderedDict") => Value::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Value::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Value::RebuildParameter,
            ("torch", storage) if storage.ends_with("Storage") => {
                Value::StorageKind(storage_kind(storage)?)
            }
            _ => bail!(
                "the pickle names {}.{}, which is not called: only tensors are read, so save model.state_dict() alone",
                module.escape_debug(),
                name.escape_debug()
            ),
        };
        self.push(value);
        Ok(())
    }

    /// ('storage', kind, key, where it was, number of elements), before torch 1.6 with a sixth: None, or the view that a
    /// storage was of another.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let parts = match *self.sequence(id)? {
            [tag, kind, key, _, numel] => Some([tag, kind, key, numel]),
            [tag, kind, key, _, numel, view] if matches!(self.value(view), Value::None) => {
                Some([tag, kind, key, numel])
            }
            _ => None,
        };
        let storage = match parts {
            Some(parts) => match parts.map(|r| self.value(r)) {
                [
                    Value::Text(tag),
                    Value::StorageKind(kind),
                    Value::Text(key),
                    Value::Int(numel),
                ] if tag == "storage" && key.len() <= MAX_KEY => Some(Storage {
                    kind: *kind,
                    key: key.clone(),
                    numel: *numel,
                }),
                _ => None,
            },
            None => None,
        };
        self.push(Value::Storage(
            storage.context("the pickle has an odd storage")?,
        ));
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let result = match (self.value(callee), self.sequence(arguments)?) {
            (Value::OrderedDict, []) => Some(Value::Dict(Vec::new())),
            // storage, offset, size, stride, requires_grad, backward hooks
            (Value::RebuildTensor, [storage, offset, size, stride, _, _]) => {
                match (self.value(*storage), self.value(*offset)) {
                    (Value::Storage(storage), Value::Int(offset)) => {
                        Some(Value::Tensor(Description {
                            storage: storage.clone(),
                            offset: *offset,
                            size: self.integers(*size)?,
                            stride: self.integers(*stride)?,
                        }))
                    }
                    _ => None,
                }
            }
            // data, requires_grad, backward hooks
            (Value::RebuildParameter, [data, _, _]) => match self.value(*data) {
                Value::Tensor(tensor) => Some(Value::Tensor(tensor.clone())),
                _ => None,
            },
            _ => None,
        };
        self.push(result.context("the pickle makes an odd call")?);
        Ok(())
    }

    /// At most 8 bytes, two's complement.
    fn long(&mut self) -> Result<()> {
        let length = usize::from(self.byte()?);
        ensure!(length <= 8, "the pickle has a number of {length} bytes");
        let bytes = self.bytes(length)?;
        let sign = bytes
            .last()
            .map_or(0, |byte| if byte & 0x80 == 0 { 0 } else { 0xff });
        let mut whole = [sign; 8];
        whole[..length].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(whole)));
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Ref]) -> Result<()> {
        ensure!(
            items.len().is_multiple_of(2),
            "the pickle has a key without a value"
        );
        let Value::Dict(dict) = self.top_mut()? else {
            bail!("the pickle puts items into something that is no dictionary");
        };
        dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    fn extend_list(&mut self, items: &[Ref]) -> Result<()> {
        let Value::Sequence(list) = self.top_mut()? else {
            bail!("the pickle appends to something that is no list");
        };
        list.extend(items);
        Ok(())
    }

    fn memoize(&mut self, place: u32) -> Result<()> {
        let top = *self.stack.last().context("the stack is empty")?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<()> {
        let value = self.memo.get(&place);
        self.stack
            .push(*value.context("the pickle recalls what it never stored")?);
        Ok(())
    }

    /// What is left behind the pickle that was run.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Ref> {
        self.stack.pop().context("the stack is empty")
    }

    fn pop_marked(&mut self) -> Result<Vec<Ref>> {
        let mark = self.marks.pop().context("the pickle has no mark")?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn value(&self, place: Ref) -> &Value {
        &self.values[place]
    }

    fn top(&self) -> Result<&Value> {
        let top = self.stack.last().context("the stack is empty")?;
        Ok(&self.values[*top])
    }

    fn top_mut(&mut self) -> Result<&mut Value> {
        let top = self.stack.last().context("the stack is empty")?;
        Ok(&mut self.values[*top])
    }

    pub(super) fn sequence(&self, place: Ref) -> Result<&[Ref]> {
        match self.value(place) {
            Value::Sequence(items) => Ok(items),
            _ => bail!("the pickle has something else where a tuple belongs"),
        }
    }

    fn integers(&self, place: Ref) -> Result<Vec<i64>> {
        let items = self.sequence(place)?;
        ensure!(
            items.len() <= MAX_DIMS,
            "the pickle has a tensor of {} dimensions",
            items.len()
        );
        let number = |item: &Ref| match self.value(*item) {
            Value::Int(n) => Ok(*n),
            _ => bail!("the pickle has something else where a number belongs"),
        };
        items.iter().map(number).collect()
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.bytes(N)?.try_into()?)
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(n)
            .context("the pickle ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().take(MAX_TEXT).position(|b| *b == b'\n');
        let line = self.bytes(end.context("the pickle has a name without an end")?)?;
        self.byte()?;
        Ok(std::str::from_utf8(line)?)
    }
}
