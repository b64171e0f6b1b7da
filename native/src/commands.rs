//! Records of `commands`, decoded: those that obey every rule. All others are unusual, and left to Python.
//!
//! In:      records as read, the partition they were read from.
//! Out:     what settling needs of each, and the keys to ask the store for. Needs no state.
//! Source:  events/codec.py, which says the same of every record; tests compare the two.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::declared::Declared;
use crate::json::{self, Value};
use crate::names;
use crate::packed::Header;

const PASSED_ON: [&str; 2] = ["reply_to", "traceparent"];
const PASSED_ON_BYTES_MAX: usize = 1024;

type PassedOn = Vec<(usize, Option<Py<PyBytes>>)>; // index of the name, value
type Span = std::ops::Range<usize>;

pub struct Command {
    pub offset: i64,
    pub timestamp: i64,
    pub operation: usize,
    pub deadline_at: i64,
    value: Py<PyBytes>,
    command_id: Span,
    merchant_id: Span,
    idempotency_key: Option<Span>,
    payload: Span,
    pub fingerprint: [u8; 64],
    pub event_id: String,
    pub charge_id: String,
    /// As the store names them: `k`, `c`, `n` and `e`, and what they are of (services/processor/domain/stored.py).
    pub stored_key: Py<PyBytes>,
    pub stored_first: Py<PyBytes>,
    pub stored_newest: Option<Py<PyBytes>>, // None: it begins a charge that is not there yet, and can begin but once
    pub stored_event: Option<Py<PyBytes>>,  // None: it begins a charge
    passed_on: PassedOn,
}

impl Command {
    fn slice<'a>(&'a self, py: Python<'a>, span: &Span) -> &'a str {
        std::str::from_utf8(&self.value.as_bytes(py)[span.clone()]).expect("it was parsed as text")
    }

    pub fn command_id<'a>(&'a self, py: Python<'a>) -> &'a str {
        self.slice(py, &self.command_id)
    }

    pub fn merchant_id<'a>(&'a self, py: Python<'a>) -> &'a str {
        self.slice(py, &self.merchant_id)
    }

    pub fn idempotency_key<'a>(&'a self, py: Python<'a>) -> Option<&'a str> {
        self.idempotency_key.as_ref().map(|span| self.slice(py, span))
    }

    pub fn payload<'a>(&'a self, py: Python<'a>) -> Option<Value<'a>> {
        json::parse(&self.value.as_bytes(py)[self.payload.clone()])
    }

    /// Its record key in `keys`.
    pub fn key<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        &self.stored_key.as_bytes(py)[1..]
    }

    /// What the store holds once it has been executed.
    pub fn stored_as_executed(&self) -> &Py<PyBytes> {
        self.stored_event.as_ref().unwrap_or(&self.stored_first)
    }

    pub fn passed_on<'a>(&'a self, py: Python<'a>) -> Vec<Header<'a>> {
        self.passed_on
            .iter()
            .map(|(name, value)| (PASSED_ON[*name], value.as_ref().map(|bytes| bytes.as_bytes(py))))
            .collect()
    }

    pub fn traceparent<'a>(&'a self, py: Python<'a>) -> Vec<Header<'a>> {
        self.passed_on(py).into_iter().filter(|(name, _)| *name == "traceparent").collect()
    }
}

/// The commands of one partition, in log order.
#[pyclass(module = "services._native", frozen)]
pub struct Commands {
    pub all: Vec<Option<Command>>, // None: unusual
    wanted: Py<PyList>,
}

#[pymethods]
impl Commands {
    fn __len__(&self) -> usize {
        self.all.len()
    }

    /// Which of the records are left to Python.
    #[getter]
    fn unusual(&self) -> Vec<usize> {
        self.all.iter().enumerate().filter(|(_, one)| one.is_none()).map(|(at, _)| at).collect()
    }

    /// What the store must be asked for the others.
    #[getter]
    fn wanted(&self, py: Python<'_>) -> Py<PyList> {
        self.wanted.clone_ref(py)
    }
}

pub fn read(
    declared: &Declared,
    records: &Bound<'_, PyAny>,
    partition: u32,
    partitions: u32,
    once: bool,
) -> PyResult<Commands> {
    let py = records.py();
    let wanted = PyList::empty(py);
    let mut all = Vec::with_capacity(records.len()?);
    let mut merchant = Vec::new(); // the last one that was seen to belong here
    for record in records.try_iter()? {
        let command = read_one(declared, &record?, partition, partitions, once, &mut merchant)?;
        if let Some(command) = &command {
            wanted.append(&command.stored_key)?;
            if once || command.stored_event.is_some() {
                wanted.append(&command.stored_first)?;
            }
            for one in [&command.stored_event, &command.stored_newest].into_iter().flatten() {
                wanted.append(one)?;
            }
        }
        all.push(command);
    }
    Ok(Commands { all, wanted: wanted.unbind() })
}

fn read_one(
    declared: &Declared,
    record: &Bound<'_, PyAny>,
    partition: u32,
    partitions: u32,
    once: bool,
    merchant: &mut Vec<u8>,
) -> PyResult<Option<Command>> {
    let py = record.py();
    let (value, key) = (record.getattr(pyo3::intern!(py, "value"))?, record.getattr(pyo3::intern!(py, "key"))?);
    let (Ok(value), Ok(key)) = (value.downcast::<PyBytes>(), key.downcast::<PyBytes>()) else {
        return Ok(None);
    };
    let (raw, key) = (value.as_bytes(), key.as_bytes());
    if raw.len() > declared.command_bytes_max {
        return Ok(None);
    }
    let Some(read) = envelope(declared, raw, key) else {
        return Ok(None);
    };
    if merchant.as_slice() != key {
        if names::partition_of(key, partitions) != partition {
            return Ok(None);
        }
        merchant.clear();
        merchant.extend_from_slice(key);
    }
    let Some(passed_on) = passed_on(&record.getattr(pyo3::intern!(py, "headers"))?)? else {
        return Ok(None);
    };
    let stored_key = match read.idempotency_key {
        Some(idempotency_key) => stored(py, &["k", read.merchant_id, "/", idempotency_key])?,
        None => stored(py, &["k@command/", read.merchant_id, "/", read.command_id])?,
    };
    let begins = declared.operations[read.operation].begins;
    Ok(Some(Command {
        offset: record.getattr(pyo3::intern!(py, "offset"))?.extract()?,
        timestamp: record.getattr(pyo3::intern!(py, "timestamp"))?.extract()?,
        operation: read.operation,
        deadline_at: read.deadline_at,
        value: value.clone().unbind(),
        command_id: span(raw, read.command_id),
        merchant_id: span(raw, read.merchant_id),
        idempotency_key: read.idempotency_key.map(|text| span(raw, text)),
        payload: read.payload,
        fingerprint: read.fingerprint,
        stored_first: stored(py, &["c", &read.charge_id])?,
        stored_newest: (!begins || !once).then(|| stored(py, &["n", &read.charge_id])).transpose()?,
        stored_event: (!begins).then(|| stored(py, &["e", &read.event_id])).transpose()?,
        stored_key,
        event_id: read.event_id,
        charge_id: read.charge_id,
        passed_on,
    }))
}

struct Envelope<'a> {
    operation: usize,
    command_id: &'a str,
    merchant_id: &'a str,
    idempotency_key: Option<&'a str>,
    deadline_at: i64,
    payload: Span,
    fingerprint: [u8; 64],
    event_id: String,
    charge_id: String,
}

fn envelope<'a>(declared: &Declared, raw: &'a [u8], key: &[u8]) -> Option<Envelope<'a>> {
    let (value, spans) = json::parse_spanned(raw)?;
    let command = value.members()?;
    let merchant_id = json::text(command, "merchant_id")?;
    let command_id = json::text(command, "command_id")?;
    if !names::is_merchant_id(merchant_id) || key != merchant_id.as_bytes() || !names::is_command_id(command_id) {
        return None;
    }
    let operation = declared.operation(json::text(command, "type")?)?;
    let idempotency_key = match json::member(command, "idempotency_key")? {
        Value::Null => None,
        Value::Text(text) if text.is_plain() && names::is_idempotency_key(text.raw) => Some(text.raw),
        _ => return None,
    };
    let (issued_at, deadline_at) = (json::int(command, "issued_at")?, json::int(command, "deadline_at")?);
    let at = command.iter().position(|(name, _)| name.raw == "payload")?;
    let payload = &command[at].1;
    let members = payload.members()?;
    let rules = &declared.operations[operation];
    if issued_at < 0 || deadline_at < 0 || !json::is_plain(payload) || !rules.allows(members) {
        return None;
    }
    let mut canonical = Vec::with_capacity(raw.len());
    canonical.extend_from_slice(b"{\"payload\":");
    json::write_canonical(&mut canonical, payload);
    canonical.extend_from_slice(b",\"type\":");
    json::write_text(&mut canonical, &rules.name);
    canonical.push(b'}');
    let fingerprint = names::fingerprint(&canonical);
    Some(Envelope {
        operation,
        command_id,
        merchant_id,
        idempotency_key,
        deadline_at,
        payload: spans[at].clone(),
        fingerprint,
        event_id: names::derived("evt", merchant_id, command_id),
        charge_id: if rules.begins {
            names::derived("ch", merchant_id, command_id)
        } else {
            json::text(members, "charge_id")?.to_owned()
        },
    })
}

/// Where a slice of `raw` stands in it.
fn span(raw: &[u8], text: &str) -> Span {
    let first = text.as_ptr() as usize - raw.as_ptr() as usize;
    first..first + text.len()
}

/// One bytes object of several pieces.
pub fn joined<'py>(py: Python<'py>, parts: &[&[u8]]) -> PyResult<Bound<'py, PyBytes>> {
    let length = parts.iter().map(|part| part.len()).sum();
    PyBytes::new_with(py, length, |out| {
        let mut at = 0;
        for part in parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(())
    })
}

fn stored(py: Python<'_>, parts: &[&str]) -> PyResult<Py<PyBytes>> {
    let parts: [&[u8]; 4] = std::array::from_fn(|at| parts.get(at).map_or(&b""[..], |part| part.as_bytes()));
    Ok(joined(py, &parts)?.unbind())
}

/// Those of a command's headers that its answer carries on; None where a header is no name and bytes.
fn passed_on(headers: &Bound<'_, PyAny>) -> PyResult<Option<PassedOn>> {
    let mut passed = Vec::new();
    let mut length = 0;
    if headers.len()? == 0 {
        return Ok(Some(passed));
    }
    for header in headers.try_iter()? {
        let Ok((name, value)) = header?.extract::<(String, Option<Bound<'_, PyBytes>>)>() else {
            return Ok(None);
        };
        if let Some(at) = PASSED_ON.iter().position(|known| *known == name) {
            length += value.as_ref().map_or(0, |bytes| bytes.as_bytes().len());
            passed.push((at, value.map(Bound::unbind)));
        }
    }
    if length > PASSED_ON_BYTES_MAX {
        passed.clear();
    }
    Ok(Some(passed))
}
