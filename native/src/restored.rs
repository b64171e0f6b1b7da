//! What records of `charges` stand for in the store; services/processor/domain/stored.py says the same.
//!
//! In:      records in log order.
//! Out:     the store's writes; None where one of them is not in our own form, so that Python reads them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::commands::joined;
use crate::json::{self, Value};

pub fn events<'py>(records: &Bound<'py, PyAny>, once: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = records.py();
    let writes = PyDict::new(py);
    for record in records.try_iter()? {
        let record = record?;
        let (value, key) = (record.getattr(pyo3::intern!(py, "value"))?, record.getattr(pyo3::intern!(py, "key"))?);
        if value.is_none() || key.is_none() {
            continue;
        }
        let (Ok(value), Ok(key)) = (value.downcast::<PyBytes>(), key.downcast::<PyBytes>()) else {
            return Ok(None);
        };
        let Some((event_id, sequence, under)) = executed(value.as_bytes()) else {
            return Ok(None);
        };
        let charge = key.as_bytes();
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
