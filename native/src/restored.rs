//! What records of `keys` and `charges` stand for in the store; services/processor/domain/stored.py says the same.
//!
//! In:      records in log order.
//! Out:     the store's writes; None where one of them is not in our own form, so that Python reads them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::commands::joined;
use crate::json::{self, Value};
use crate::records::Records;

pub fn keys<'py>(records: &Bound<'py, Records>) -> PyResult<Bound<'py, PyDict>> {
    let (py, records) = (records.py(), records.get());
    let bytes = records.bytes.as_bytes(py);
    let writes = PyDict::new(py);
    for entry in &records.entries {
        let Some(key) = entry.key else { continue };
        let value = entry.value.map(|value| PyBytes::new(py, value.of(bytes)));
        writes.set_item(joined(py, &[b"k", key.of(bytes)])?, value)?;
    }
    Ok(writes)
}

pub fn events<'py>(records: &Bound<'py, PyAny>, once: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = records.py();
    let records = Records::of(records)?;
    let records = records.get();
    let bytes = records.bytes.as_bytes(py);
    let writes = PyDict::new(py);
    for entry in &records.entries {
        let (Some(charge), Some(value)) = (entry.key, entry.value) else { continue };
        let (charge, raw) = (charge.of(bytes), value.of(bytes));
        let Some((event_id, sequence, under)) = executed(raw) else {
            return Ok(None);
        };
        let value = PyBytes::new(py, raw);
        if sequence > 1 {
            writes.set_item(joined(py, &[b"n", charge])?, value)?;
            writes.set_item(joined(py, &[b"e", event_id.as_bytes()])?, joined(py, &under)?)?;
            continue;
        }
        writes.set_item(joined(py, &[b"c", charge])?, value)?;
        if !once {
            writes.set_item(joined(py, &[b"n", charge])?, py.None())?;
        }
    }
    Ok(Some(writes))
}

/// An event's id, its number, and in pieces the record key in `keys` of the command that it comes of.
pub fn executed(raw: &[u8]) -> Option<(&str, i64, [&[u8]; 4])> {
    let head = json::leading(
        raw,
        [
            "event_id",
            "type",
            "charge_id",
            "merchant_id",
            "amount",
            "currency",
            "sequence",
            "occurred_at",
            "command_id",
            "idempotency_key",
        ],
    )?;
    let plain = |value: &Value<'_>| value.text().filter(json::Text::is_plain).is_some();
    let [event_id, _, _, merchant_id, _, _, Value::Int(sequence), _, command_id, idempotency_key] = head else {
        return None;
    };
    if !plain(&event_id) || !plain(&merchant_id) || !plain(&command_id) {
        return None;
    }
    let (event_id, merchant_id) = (event_id.text()?.raw, merchant_id.text()?.raw.as_bytes());
    Some((
        event_id,
        sequence,
        match idempotency_key {
            Value::Null => [b"@command/", merchant_id, b"/", command_id.text()?.raw.as_bytes()],
            Value::Text(key) if key.is_plain() => [b"", merchant_id, b"/", key.raw.as_bytes()],
            _ => return None,
        },
    ))
}
