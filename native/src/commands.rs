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
use crate::records::{Entry, Records, Span};

const PASSED_ON: [&str; 2] = ["reply_to", "traceparent"];
const MEMBERS: [&str; 7] =
    ["command_id", "type", "merchant_id", "idempotency_key", "issued_at", "deadline_at", "payload"];
const PASSED_ON_BYTES_MAX: usize = 1024;

type PassedOn = Vec<(usize, Option<Span>)>; // index of the name, value

pub struct Command {
    pub offset: i64,
    pub timestamp: i64,
    pub operation: usize,
    pub deadline_at: i64,
    bytes: Py<PyBytes>, // in which it stands, with others
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
    fn slice<'a>(&'a self, py: Python<'a>, span: Span) -> &'a [u8] {
        span.of(self.bytes.as_bytes(py))
    }

    fn text<'a>(&'a self, py: Python<'a>, span: Span) -> &'a str {
        std::str::from_utf8(self.slice(py, span)).expect("it was parsed as text")
    }

    pub fn command_id<'a>(&'a self, py: Python<'a>) -> &'a str {
        self.text(py, self.command_id)
    }

    pub fn merchant_id<'a>(&'a self, py: Python<'a>) -> &'a str {
        self.text(py, self.merchant_id)
    }

    pub fn idempotency_key<'a>(&'a self, py: Python<'a>) -> Option<&'a str> {
        self.idempotency_key.map(|span| self.text(py, span))
    }

    pub fn payload<'a>(&'a self, py: Python<'a>) -> Option<Value<'a>> {
        json::parse(self.slice(py, self.payload))
    }

    /// Its record key in `keys`.
    pub fn key<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        &self.stored_key.as_bytes(py)[1..]
    }

    /// What the store holds once it has been executed.
    pub fn stored_as_executed(&self) -> &Py<PyBytes> {
        self.stored_event.as_ref().unwrap_or(&self.stored_first)
    }

    pub fn passed_on<'a>(&'a self, py: Python<'a>) -> impl Iterator<Item = Header<'a>> + Clone + 'a {
        let bytes = self.bytes.as_bytes(py);
        self.passed_on.iter().map(move |(name, value)| (PASSED_ON[*name], value.map(|span| span.of(bytes))))
    }

    pub fn traceparent<'a>(&'a self, py: Python<'a>) -> impl Iterator<Item = Header<'a>> + Clone + 'a {
        self.passed_on(py).filter(|(name, _)| *name == "traceparent")
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
    let records = Records::of(records)?;
    let records = records.get();
    let mut reading = Reading { declared, partition, partitions, once, merchant: Vec::new(), canonical: Vec::new() };
    let mut wanted = Vec::with_capacity(2 * records.entries.len());
    let mut all = Vec::with_capacity(records.entries.len());
    for entry in &records.entries {
        let command = reading.command(py, &records.bytes, entry)?;
        if let Some(command) = &command {
            wanted.push(command.stored_key.clone_ref(py));
            if once || command.stored_event.is_some() {
                wanted.push(command.stored_first.clone_ref(py));
            }
            for one in [&command.stored_event, &command.stored_newest].into_iter().flatten() {
                wanted.push(one.clone_ref(py));
            }
        }
        all.push(command);
    }
    Ok(Commands { all, wanted: PyList::new(py, wanted)?.unbind() })
}

struct Reading<'d> {
    declared: &'d Declared,
    partition: u32,
    partitions: u32,
    once: bool,
    merchant: Vec<u8>, // the last one that was seen to belong here
    canonical: Vec<u8>,
}

impl Reading<'_> {
    fn command(&mut self, py: Python<'_>, held: &Py<PyBytes>, entry: &Entry) -> PyResult<Option<Command>> {
        let bytes = held.as_bytes(py);
        let (Some(value), Some(key)) = (entry.value, entry.key) else {
            return Ok(None);
        };
        let (raw, key) = (value.of(bytes), key.of(bytes));
        if raw.len() > self.declared.command_bytes_max {
            return Ok(None);
        }
        let Some(read) = self.envelope(raw, key) else {
            return Ok(None);
        };
        if self.merchant != key {
            if names::partition_of(key, self.partitions) != self.partition {
                return Ok(None);
            }
            self.merchant.clear();
            self.merchant.extend_from_slice(key);
        }
        let stored_key = match read.idempotency_key {
            Some(idempotency_key) => stored(py, &["k", read.merchant_id, "/", idempotency_key])?,
            None => stored(py, &["k@command/", read.merchant_id, "/", read.command_id])?,
        };
        let begins = self.declared.operations[read.operation].begins;
        let span = |text: &str| Span::within(bytes, text.as_bytes());
        Ok(Some(Command {
            offset: entry.offset,
            timestamp: entry.timestamp,
            operation: read.operation,
            deadline_at: read.deadline_at,
            bytes: held.clone_ref(py),
            command_id: span(read.command_id),
            merchant_id: span(read.merchant_id),
            idempotency_key: read.idempotency_key.map(span),
            payload: span(read.payload),
            fingerprint: read.fingerprint,
            stored_first: stored(py, &["c", &read.charge_id])?,
            stored_newest: (!begins || !self.once).then(|| stored(py, &["n", &read.charge_id])).transpose()?,
            stored_event: (!begins).then(|| stored(py, &["e", &read.event_id])).transpose()?,
            stored_key,
            event_id: read.event_id,
            charge_id: read.charge_id,
            passed_on: passed_on(bytes, entry),
        }))
    }

    fn envelope<'a>(&mut self, raw: &'a [u8], key: &[u8]) -> Option<Envelope<'a>> {
        let [command_id, operation, merchant_id, idempotency_key, issued_at, deadline_at, payload] =
            json::members(raw, MEMBERS)?;
        let (command_id, merchant_id) = (command_id?.value.text()?.raw, merchant_id?.value.text()?.raw);
        let (idempotency_key, payload) = (idempotency_key?, payload?);
        if key != merchant_id.as_bytes() || !names::is_merchant_id(merchant_id) || !names::is_command_id(command_id) {
            return None;
        }
        let operation = self.declared.operation(operation?.value.text()?.raw)?;
        let idempotency_key = match idempotency_key.value {
            Value::Null => None,
            Value::Text(text) if idempotency_key.is_plain && names::is_idempotency_key(text.raw) => Some(text.raw),
            _ => return None,
        };
        let (issued_at, deadline_at) = (issued_at?.value.int()?, deadline_at?.value.int()?);
        let members = payload.value.members()?;
        let rules = &self.declared.operations[operation];
        if issued_at < 0 || deadline_at < 0 || !payload.is_plain || !rules.allows(members) {
            return None;
        }
        let canonical = &mut self.canonical;
        canonical.clear();
        canonical.extend_from_slice(b"{\"payload\":");
        json::write_canonical(canonical, &payload.value);
        canonical.extend_from_slice(b",\"type\":");
        json::write_text(canonical, &rules.name);
        canonical.push(b'}');
        Some(Envelope {
            operation,
            command_id,
            merchant_id,
            idempotency_key,
            deadline_at,
            fingerprint: names::fingerprint(canonical),
            event_id: names::derived("evt", merchant_id, command_id),
            charge_id: if rules.begins {
                names::derived("ch", merchant_id, command_id)
            } else {
                json::text(members, "charge_id")?.to_owned()
            },
            payload: payload.raw,
        })
    }
}

struct Envelope<'a> {
    operation: usize,
    command_id: &'a str,
    merchant_id: &'a str,
    idempotency_key: Option<&'a str>,
    deadline_at: i64,
    payload: &'a str,
    fingerprint: [u8; 64],
    event_id: String,
    charge_id: String,
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

/// Those of a command's headers that its answer carries on.
fn passed_on(bytes: &[u8], entry: &Entry) -> PassedOn {
    let mut passed = Vec::new();
    let mut length = 0;
    for (name, value) in entry.headers(bytes) {
        if let Some(at) = PASSED_ON.iter().position(|known| *known == name) {
            length += value.map_or(0, |value| value.of(bytes).len());
            passed.push((at, value));
        }
    }
    if length > PASSED_ON_BYTES_MAX {
        passed.clear();
    }
    passed
}
