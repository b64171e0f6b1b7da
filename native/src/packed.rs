//! Records to append, packed as Kafka writes them, and batches made of them.
//!
//! In:      key, value and headers of each record.
//! Out:     record batches of magic 2, as many of the records as fit.
//! Units:   bytes; timestamps in Unix milliseconds.
//! Source:  Kafka's documentation, "Message Format": Record Batch.

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString, PyTuple};

const BATCH_HEADER_BYTES: usize = 61;
const COUNTED_FROM: usize = 21; // the checksum is of everything from the attributes on
const TRANSACTIONAL: i16 = 1 << 4;

pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// What stands behind a record's offset: key, value, headers.
#[pyclass(subclass, module = "services._native")]
#[derive(Default)]
pub struct Packed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Packed {
    /// Of so many records more, so long each, more or less.
    pub fn expect(&mut self, records: usize, record_bytes: usize) {
        self.bytes.reserve(records * record_bytes);
        self.ends.reserve(records);
    }

    pub fn push<'h>(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>> + Clone,
    ) {
        write_bytes(&mut self.bytes, key);
        write_bytes(&mut self.bytes, value);
        write_varint(&mut self.bytes, headers.clone().count() as i64);
        for (name, value) in headers {
            write_bytes(&mut self.bytes, Some(name.as_bytes()));
            write_bytes(&mut self.bytes, value);
        }
        self.ends.push(self.bytes.len());
    }

    fn begin(&self, at: usize) -> usize {
        if at == 0 {
            0
        } else {
            self.ends[at - 1]
        }
    }
}

impl Packed {
    fn record(&self, at: usize) -> &[u8] {
        &self.bytes[self.begin(at)..self.ends[at]]
    }

    /// How many records from `first` on make a batch, and how long it is.
    fn fitting(&self, first: usize, bytes_max: usize) -> (usize, usize) {
        let (mut count, mut length) = (0, BATCH_HEADER_BYTES);
        for at in first..self.ends.len() {
            let record = 2 + varint_bytes(count as i64) + self.record(at).len();
            let more = varint_bytes(record as i64) + record;
            if count > 0 && length + more > bytes_max {
                break;
            }
            length += more;
            count += 1;
        }
        (count, length)
    }
}

#[pymethods]
impl Packed {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __len__(&self) -> usize {
        self.ends.len()
    }

    /// Key, value and headers of one record.
    fn unpacked<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Bound<'py, PyTuple>> {
        if at >= self.ends.len() {
            return Err(PyIndexError::new_err("no such record"));
        }
        let mut rest = self.record(at);
        let key = read_bytes(&mut rest).map(|key| PyBytes::new(py, key));
        let value = read_bytes(&mut rest).map(|value| PyBytes::new(py, value));
        let mut headers = Vec::new();
        for _ in 0..read_varint(&mut rest) {
            let name = read_bytes(&mut rest).expect("a header has a name");
            let name = std::str::from_utf8(name).expect("it came as text");
            headers.push((PyString::new(py, name), read_bytes(&mut rest).map(|value| PyBytes::new(py, value))));
        }
        (key, value, PyTuple::new(py, headers)?).into_pyobject(py)
    }

    /// Append one record.
    fn pack(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        if headers.len()? == 0 {
            self.push(key, value, std::iter::empty());
            return Ok(());
        }
        let found: Vec<(String, Option<Bound<'_, PyBytes>>)> = headers
            .try_iter()?
            .map(|header| header?.extract())
            .collect::<PyResult<_>>()
            .map_err(|error| PyTypeError::new_err(format!("a header is a name and bytes: {error}")))?;
        let headers = found.iter().map(|(name, value)| (name.as_str(), value.as_ref().map(|bytes| bytes.as_bytes())));
        self.push(key, value, headers);
        Ok(())
    }

    /// Append all records of another.
    fn take_in(&mut self, other: PyRef<'_, Packed>) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| base + end));
    }

    /// One batch of the records from `first` on, at most `bytes_max` long unless the first alone is longer.
    #[allow(clippy::too_many_arguments)]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        bytes_max: usize,
        producer_id: i64,
        epoch: i16,
        base_sequence: i32,
        transactional: bool,
        timestamp_ms: i64,
    ) -> PyResult<(Bound<'py, PyByteArray>, usize)> {
        if first >= self.ends.len() {
            return Err(PyValueError::new_err("no record is left for a batch"));
        }
        let (count, length) = self.fitting(first, bytes_max);
        let batch = PyByteArray::new_with(py, length, |batch| {
            let mut at = BATCH_HEADER_BYTES;
            for number in 0..count {
                let record = self.record(first + number);
                at += encode_varint((2 + varint_bytes(number as i64) + record.len()) as i64, &mut batch[at..]);
                at += 2; // no attributes, no later than the first
                at += encode_varint(number as i64, &mut batch[at..]);
                batch[at..at + record.len()].copy_from_slice(record);
                at += record.len();
            }
            let length = batch.len() - 12;
            batch[8..12].copy_from_slice(&(length as i32).to_be_bytes());
            batch[12..16].copy_from_slice(&(-1i32).to_be_bytes()); // partition leader epoch
            batch[16] = 2; // magic
            batch[21..23].copy_from_slice(&(if transactional { TRANSACTIONAL } else { 0 }).to_be_bytes());
            batch[23..27].copy_from_slice(&(count as i32 - 1).to_be_bytes());
            batch[27..35].copy_from_slice(&timestamp_ms.to_be_bytes());
            batch[35..43].copy_from_slice(&timestamp_ms.to_be_bytes());
            batch[43..51].copy_from_slice(&producer_id.to_be_bytes());
            batch[51..53].copy_from_slice(&epoch.to_be_bytes());
            batch[53..57].copy_from_slice(&base_sequence.to_be_bytes());
            batch[57..61].copy_from_slice(&(count as i32).to_be_bytes());
            let checksum = crc32c::crc32c(&batch[COUNTED_FROM..]);
            batch[17..21].copy_from_slice(&checksum.to_be_bytes());
            Ok(())
        })?;
        Ok((batch, count))
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[inline]
fn encode_varint(number: i64, out: &mut [u8]) -> usize {
    let mut rest = zigzag(number);
    let mut at = 0;
    while rest >= 0x80 {
        out[at] = rest as u8 | 0x80;
        rest >>= 7;
        at += 1;
    }
    out[at] = rest as u8;
    at + 1
}

pub fn write_varint(out: &mut Vec<u8>, number: i64) {
    let mut rest = zigzag(number);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A byte for each seven bits, and one for none.
fn varint_bytes(number: i64) -> usize {
    let bits = (zigzag(number) | 1).ilog2() as usize + 1;
    bits.div_ceil(7)
}

pub fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => write_varint(out, -1),
    }
}

fn read_varint(rest: &mut &[u8]) -> i64 {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let byte = rest[0];
        *rest = &rest[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (number >> 1) as i64 ^ -((number & 1) as i64);
        }
        shift += 7;
    }
}

fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = read_varint(rest);
    if length < 0 {
        return None;
    }
    let (bytes, after) = rest.split_at(length as usize);
    *rest = after;
    Some(bytes)
}
