//! The part of the processor's hot path that Python is too slow for: commands to records, records to batches.
//!
//! Everything here stands in Python too, and says the same (tests/unit/test_native.py). Whatever is unusual stays
//! there: this crate stops before it. It has no I/O, no clock and no randomness.

mod charge;
mod commands;
mod declared;
mod json;
mod names;
mod packed;
mod records;
mod restored;
mod turn;
mod writing;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::commands::Commands;
use crate::declared::Declared;
use crate::packed::Packed;
use crate::records::{Record, Records};
use crate::turn::Turn;

/// A bug here is an exception that Python can go on after: it settles the same records itself.
pub(crate) fn guarded<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(PyRuntimeError::new_err("the native part has a bug")))
}

/// The declarations, read once.
#[pyclass(module = "services._native", frozen)]
struct Declarations {
    declared: Arc<Declared>,
}

#[pymethods]
impl Declarations {
    #[new]
    fn new(text: &[u8]) -> PyResult<Self> {
        let declared = Declared::read(text).ok_or_else(|| PyValueError::new_err("a declaration is not known here"))?;
        Ok(Declarations { declared: Arc::new(declared) })
    }

    /// Decode records of `commands`, read from `partition` of `partitions`.
    fn read(&self, records: &Bound<'_, PyAny>, partition: u32, partitions: u32, once: bool) -> PyResult<Commands> {
        guarded(|| commands::read(&self.declared, records, partition, partitions, once))
    }

    #[allow(clippy::too_many_arguments)]
    fn turn(
        &self,
        py: Python<'_>,
        namespace: String,
        window_ms: i64,
        asks: (bool, bool),
        standing: (i64, i64),
        found: Py<PyDict>,
        records: (Py<Packed>, Py<Packed>, Py<Packed>),
    ) -> Turn {
        Turn::new(py, self.declared.clone(), namespace, window_ms, asks, standing, found, records)
    }
}

/// What is readable of a Fetch from `position` on, and where to read on; None where it is left to Python.
#[pyfunction]
fn fetched(data: &Bound<'_, PyBytes>, position: i64, aborted: Vec<(i64, i64)>) -> PyResult<Option<(Records, i64)>> {
    guarded(|| Ok(records::fetched(data, position, aborted)))
}

/// The store's writes that records of `keys` stand for.
#[pyfunction]
fn restored_keys<'py>(records: &Bound<'py, Records>) -> PyResult<Bound<'py, PyDict>> {
    guarded(|| restored::keys(records))
}

/// The store's writes that records of `charges` stand for; None where they are left to Python.
#[pyfunction]
fn restored_events<'py>(records: &Bound<'py, PyAny>, once: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
    guarded(|| restored::events(records, once))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Declarations>()?;
    module.add_class::<Commands>()?;
    module.add_class::<Turn>()?;
    module.add_class::<Packed>()?;
    module.add_class::<Record>()?;
    module.add_class::<Records>()?;
    module.add_function(wrap_pyfunction!(fetched, module)?)?;
    module.add_function(wrap_pyfunction!(restored_keys, module)?)?;
    module.add_function(wrap_pyfunction!(restored_events, module)?)
}
