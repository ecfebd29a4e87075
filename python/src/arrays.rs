//! What Python hands over: numbers that choose rows, and arrays to be filled.

use numpy::ndarray::IxDyn;
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PySlice;

use crate::errors::usage;

/// What stands in `[ ]`.
pub enum Key {
    /// One number.
    One(i64),
    /// Many of them, in any shape.
    Many(Integers),
}

/// Integers in the shape in which they were given.
pub struct Integers {
    pub values: Vec<i64>,
    pub shape: Vec<usize>,
}

/// A number, a slice of `len` numbers, or a list, range, array or tensor of integers.
pub fn key(given: &Bound<'_, PyAny>, len: usize) -> PyResult<Key> {
    if let Ok(slice) = given.cast::<PySlice>() {
        let at = slice.indices(len.cast_signed())?;
        let values: Vec<i64> = (0..at.slicelength)
            .map(|i| (at.start + i.cast_signed() * at.step) as i64)
            .collect();
        let shape = vec![values.len()];
        return Ok(Key::Many(Integers { values, shape }));
    }
    // A tensor of one number can stand for it, but holds many as any array does.
    let is_array = given.hasattr("ndim")? && given.getattr("ndim")?.extract::<usize>()? > 0;
    match given.extract::<i64>() {
        Ok(one) if !is_array => Ok(Key::One(one)),
        _ => integers(given).map(Key::Many),
    }
}

/// The integers of a list, a range, an array or a tensor.
pub fn integers(given: &Bound<'_, PyAny>) -> PyResult<Integers> {
    let numpy = given.py().import("numpy")?;
    let refused = |what: String| usage(format!("rows are integers, not {what}"));
    let array = numpy
        .call_method1("asarray", (given,))
        .map_err(|error| refused(format!("{}: {error}", given.get_type())))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    let empty = array.getattr("size")?.extract::<usize>()? == 0;
    if !empty && kind == "b" {
        return Err(refused(
            "a mask: numpy.flatnonzero(mask) makes them of one".to_owned(),
        ));
    }
    if !empty && kind != "i" && kind != "u" {
        return Err(refused(array.getattr("dtype")?.to_string()));
    }
    let array = array.call_method1("astype", ("int64",))?;
    let array = array.cast::<PyArrayDyn<i64>>()?.readonly();
    let array = array.as_array();
    Ok(Integers {
        values: array.iter().copied().collect(),
        shape: array.shape().to_vec(),
    })
}

/// An array of bytes that shall be filled, whatever is in it.
pub fn empty<'py>(py: Python<'py>, shape: &[usize]) -> Bound<'py, PyArrayDyn<u8>> {
    // SAFETY: whoever asks for it writes every byte, or drops it unread.
    unsafe { PyArrayDyn::<u8>::new(py, IxDyn(shape), false) }
}

/// The caller's array or tensor, to be filled: uint8 of this shape, C-contiguous.
pub fn writable<'py>(
    given: &Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
    let array = given
        .py()
        .import("numpy")?
        .call_method1("asarray", (given,))?;
    let fits = array.cast::<PyArrayDyn<u8>>().ok().filter(|array| {
        let contiguous = array.is_c_contiguous();
        array.shape() == shape && contiguous
    });
    match fits {
        Some(array) => Ok(array.clone()),
        None => Err(usage(format!(
            "out is an array of {} {}, and one of uint8 {shape:?} is needed, C-contiguous",
            array.getattr("dtype")?,
            array.getattr("shape")?
        ))),
    }
}
