//! Fetched records, as spans of the bytes they came in: no object is made of a record that nobody looks at.
//!
//! In:      what a Fetch answered for one partition, the position it was asked for, the aborted transactions in it; or
//!          records that Python holds.
//! Out:     records in log order, and the offset to read from next. None where anything but sound, uncompressed
//!          batches of magic 2 is in it: services/kafka/fetched.py reads it then, and says what is wrong.
//! Units:   offsets; timestamps in Unix milliseconds; spans in bytes.
//! Source:  Kafka's documentation, "Message Format"; KIP-98, "consumer".

use std::collections::BTreeSet;

use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyString, PyTuple};

use crate::packed::{write_bytes, write_varint};

const LENGTH_AT: usize = 8;
const COUNTED_FROM: usize = 12; // the length is of everything after itself
const CHECKED_FROM: usize = 21; // and the checksum of everything after itself, which is from the attributes on
const RECORDS_AT: usize = 61;
const MAGIC: u8 = 2;
const COMPRESSION: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const ABORT: [u8; 4] = [0, 0, 0, 0]; // version and type

#[derive(Clone, Copy)]
pub struct Span {
    first: u32,
    end: u32,
}

impl Span {
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.first as usize..self.end as usize]
    }

    /// Of a part of these bytes.
    pub fn within(bytes: &[u8], part: &[u8]) -> Span {
        let first = (part.as_ptr() as usize - bytes.as_ptr() as usize) as u32;
        Span { first, end: first + part.len() as u32 }
    }
}

#[derive(Clone)]
pub struct Entry {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Span>,
    pub value: Option<Span>,
    headers: u32, // where their number stands
}

impl Entry {
    pub fn headers<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, Option<Span>)> {
        let mut walk = Walk { bytes, at: self.headers as usize };
        let count = walk.varint().expect("it was read before");
        (0..count).map(move |_| walk.header().expect("it was read before"))
    }
}

/// A sequence of records.
#[pyclass(module = "services._native", frozen, sequence)]
pub struct Records {
    pub bytes: Py<PyBytes>,
    pub entries: Vec<Entry>,
}

/// One of them, once somebody looks at it.
#[pyclass(module = "services._native", frozen, get_all)]
pub struct Record {
    offset: i64,
    timestamp: i64,
    key: Option<Py<PyBytes>>,
    value: Option<Py<PyBytes>>,
    headers: Py<PyTuple>,
}

impl Records {
    /// Records as they are, of whatever kind.
    pub fn of<'py>(records: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Records>> {
        match records.downcast::<Records>() {
            Ok(held) => Ok(held.clone()),
            Err(_) => Bound::new(records.py(), Self::gathered(records)?),
        }
    }

    fn gathered(records: &Bound<'_, PyAny>) -> PyResult<Records> {
        let py = records.py();
        let mut bytes = Vec::new();
        let mut entries = Vec::with_capacity(records.len()?);
        for record in records.try_iter()? {
            let record = record?;
            let key: Option<Bound<'_, PyBytes>> = record.getattr(pyo3::intern!(py, "key"))?.extract()?;
            let value: Option<Bound<'_, PyBytes>> = record.getattr(pyo3::intern!(py, "value"))?.extract()?;
            let headers = record.getattr(pyo3::intern!(py, "headers"))?;
            let mut held = |part: Option<Bound<'_, PyBytes>>| {
                let part = part?;
                let first = bytes.len() as u32;
                bytes.extend_from_slice(part.as_bytes());
                Some(Span { first, end: bytes.len() as u32 })
            };
            entries.push(Entry {
                offset: record.getattr(pyo3::intern!(py, "offset"))?.extract()?,
                timestamp: record.getattr(pyo3::intern!(py, "timestamp"))?.extract()?,
                key: held(key),
                value: held(value),
                headers: bytes.len() as u32,
            });
            write_varint(&mut bytes, headers.len()? as i64);
            for header in headers.try_iter()? {
                let (name, value): (String, Option<Bound<'_, PyBytes>>) = header?.extract()?;
                write_bytes(&mut bytes, Some(name.as_bytes()));
                write_bytes(&mut bytes, value.as_ref().map(|value| value.as_bytes()));
            }
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(PyOverflowError::new_err("records of more than 4 GiB"));
        }
        Ok(Records { bytes: PyBytes::new(py, &bytes).unbind(), entries })
    }

    fn record(&self, py: Python<'_>, entry: &Entry) -> PyResult<Record> {
        let bytes = self.bytes.as_bytes(py);
        let object = |span: Span| PyBytes::new(py, span.of(bytes));
        let mut headers = Vec::new();
        for (name, value) in entry.headers(bytes) {
            headers.push((PyString::new(py, name), value.map(object)));
        }
        Ok(Record {
            offset: entry.offset,
            timestamp: entry.timestamp,
            key: entry.key.map(|span| object(span).unbind()),
            value: entry.value.map(|span| object(span).unbind()),
            headers: PyTuple::new(py, headers)?.unbind(),
        })
    }
}

#[pymethods]
impl Records {
    fn __len__(&self) -> usize {
        self.entries.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, at: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let count = self.entries.len() as isize;
        if let Ok(slice) = at.downcast::<PySlice>() {
            let asked = slice.indices(count)?;
            let chosen = (0..asked.slicelength as isize).map(|number| asked.start + number * asked.step);
            let entries = chosen.map(|at| self.entries[at as usize].clone()).collect();
            return Ok(Bound::new(py, Records { bytes: self.bytes.clone_ref(py), entries })?.into_any());
        }
        let at: isize = at.extract()?;
        let at = if at < 0 { at + count } else { at };
        let entry = usize::try_from(at).ok().and_then(|at| self.entries.get(at));
        let entry = entry.ok_or_else(|| PyIndexError::new_err("no such record"))?;
        Ok(Bound::new(py, self.record(py, entry)?)?.into_any())
    }

    /// Of all records; raises where there is none.
    #[getter]
    fn timestamp_max(&self) -> PyResult<i64> {
        let highest = self.entries.iter().map(|entry| entry.timestamp).max();
        highest.ok_or_else(|| PyIndexError::new_err("no record"))
    }
}

/// What is readable from `position` on, and where to read on; `aborted`: first offsets and producer ids.
pub fn fetched(data: &Bound<'_, PyBytes>, position: i64, mut aborted: Vec<(i64, i64)>) -> Option<(Records, i64)> {
    let bytes = data.as_bytes();
    u32::try_from(bytes.len()).ok()?;
    aborted.sort_unstable();
    let mut to_come = aborted.into_iter().peekable();
    let mut aborting = BTreeSet::new();
    let mut entries = Vec::with_capacity(bytes.len() / 256);
    let (mut at, mut read_to) = (0, position);
    while let Some(length) = bytes.get(at + LENGTH_AT..at + COUNTED_FROM) {
        let length = usize::try_from(i32::from_be_bytes(length.try_into().ok()?)).ok()?;
        let end = at + COUNTED_FROM + length;
        if end > bytes.len() {
            break; // it was cut short
        }
        let batch = Batch::read(bytes, at, end)?;
        at = end;
        while let Some((_, producer_id)) = to_come.next_if(|(first, _)| *first <= batch.base_offset) {
            aborting.insert(producer_id);
        }
        if batch.attributes & CONTROL != 0 {
            if batch.is_abort()? {
                aborting.remove(&batch.producer_id);
            }
        } else if batch.attributes & TRANSACTIONAL == 0 || !aborting.contains(&batch.producer_id) {
            batch.records(position, &mut entries)?;
        }
        // A batch keeps its last offset, though compaction may have taken the record there.
        read_to = read_to.max(batch.base_offset + batch.last_offset_delta + 1);
    }
    Some((Records { bytes: data.clone().unbind(), entries }, read_to))
}

struct Batch<'a> {
    walk: Walk<'a>, // up to its end
    base_offset: i64,
    attributes: i16,
    last_offset_delta: i64,
    first_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    count: i32,
}

impl<'a> Batch<'a> {
    /// None where it is not sound, or not read here.
    fn read(bytes: &'a [u8], at: usize, end: usize) -> Option<Self> {
        let bytes = &bytes[..end];
        let head: &[u8; RECORDS_AT] = bytes[at..].get(..RECORDS_AT)?.try_into().ok()?;
        let attributes = i16::from_be_bytes(part(head, 21));
        if head[16] != MAGIC
            || attributes & COMPRESSION != 0
            || crc32c::crc32c(&bytes[at + CHECKED_FROM..]) != u32::from_be_bytes(part(head, 17))
        {
            return None;
        }
        Some(Batch {
            walk: Walk { bytes, at: at + RECORDS_AT },
            base_offset: i64::from_be_bytes(part(head, 0)),
            attributes,
            last_offset_delta: i64::from(i32::from_be_bytes(part(head, 23))),
            first_timestamp: i64::from_be_bytes(part(head, 27)),
            max_timestamp: i64::from_be_bytes(part(head, 35)),
            producer_id: i64::from_be_bytes(part(head, 43)),
            count: i32::from_be_bytes(part(head, 57)),
        })
    }

    fn is_abort(&self) -> Option<bool> {
        let mut walk = Walk { ..self.walk };
        let key = self.record(&mut walk)?.key?;
        Some(key.of(walk.bytes).get(..ABORT.len())? == ABORT)
    }

    /// A part of a batch that begins before `position` is known already.
    fn records(&self, position: i64, entries: &mut Vec<Entry>) -> Option<()> {
        let mut walk = Walk { ..self.walk };
        for _ in 0..self.count {
            let entry = self.record(&mut walk)?;
            if self.base_offset >= position || entry.offset >= position {
                entries.push(entry);
            }
        }
        (walk.at == walk.bytes.len()).then_some(())
    }

    fn record(&self, walk: &mut Walk<'a>) -> Option<Entry> {
        let length = walk.varint()?;
        let first = walk.at;
        if walk.varint()? != 0 {
            return None; // attributes: there are none
        }
        let (timestamp_delta, offset_delta) = (walk.varint()?, walk.varint()?);
        let (key, value, headers) = (walk.bytes()?, walk.bytes()?, walk.at as u32);
        for _ in 0..u32::try_from(walk.varint()?).ok()? {
            walk.header()?;
        }
        let timestamp = if self.attributes & LOG_APPEND_TIME != 0 {
            self.max_timestamp
        } else {
            self.first_timestamp.checked_add(timestamp_delta)?
        };
        let offset = self.base_offset.checked_add(offset_delta)?;
        (i64::try_from(walk.at - first) == Ok(length)).then_some(Entry { offset, timestamp, key, value, headers })
    }
}

fn part<const N: usize>(head: &[u8; RECORDS_AT], at: usize) -> [u8; N] {
    std::array::from_fn(|number| head[at + number])
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn varint(&mut self) -> Option<i64> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    /// The inner None: there are none, which is not the same as empty.
    fn bytes(&mut self) -> Option<Option<Span>> {
        let Ok(length) = usize::try_from(self.varint()?) else { return Some(None) };
        let first = self.at;
        self.at = first.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        Some(Some(Span { first: first as u32, end: self.at as u32 }))
    }

    fn header(&mut self) -> Option<(&'a str, Option<Span>)> {
        let name = std::str::from_utf8(self.bytes()??.of(self.bytes)).ok()?;
        Some((name, self.bytes()?))
    }
}
