//! The records of a turn as bytes, in the exact form of CONTRACT; services/processor/domain/writing.py says the same.

use pyo3::prelude::*;

use crate::charge::Fact;
use crate::commands::Command;
use crate::json;

pub struct Refund<'a> {
    pub id: String,
    pub charge_id: &'a str,
    pub amount: i64,
    pub currency: &'a str,
    pub created_at: i64,
}

impl Refund<'_> {
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        write_members(
            out,
            &[
                ("amount", Part::Int(self.amount)),
                ("charge_id", Part::Text(self.charge_id)),
                ("created_at", Part::Int(self.created_at)),
                ("currency", Part::Text(self.currency)),
                ("id", Part::Text(&self.id)),
                ("object", Part::Text("refund")),
            ],
        );
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_members(
            out,
            &[
                ("id", Part::Text(&self.id)),
                ("object", Part::Text("refund")),
                ("charge_id", Part::Text(self.charge_id)),
                ("amount", Part::Int(self.amount)),
                ("currency", Part::Text(self.currency)),
                ("created_at", Part::Int(self.created_at)),
            ],
        );
    }
}

/// A key record; `body` as it stands inside a JSON string, `charge_id` of what was executed.
#[allow(clippy::too_many_arguments)]
pub fn key(
    out: &mut Vec<u8>,
    py: Python<'_>,
    command: &Command,
    operation: &str,
    status: i64,
    body: &str,
    charge_id: Option<&str>,
    (completed_at, expires_at): (i64, i64),
) {
    write_members(
        out,
        &[
            ("merchant_id", Part::Text(command.merchant_id(py))),
            ("idempotency_key", Part::TextOrNull(command.idempotency_key(py))),
            ("operation", Part::Text(operation)),
            ("fingerprint", Part::Text(std::str::from_utf8(&command.fingerprint).expect("hex digits"))),
            ("status", Part::Int(status)),
            ("body", Part::Text(body)),
            ("charge_id", Part::TextOrNull(charge_id)),
            ("event_id", Part::TextOrNull(charge_id.map(|_| command.event_id.as_str()))),
            ("command_id", Part::Text(command.command_id(py))),
            ("offset", Part::Int(command.offset)),
            ("completed_at", Part::Int(completed_at)),
            ("expires_at", Part::Int(expires_at)),
        ],
    );
}

/// A reply; `body` as it stands inside a JSON string.
pub fn reply(out: &mut Vec<u8>, py: Python<'_>, command: &Command, status: i64, body: &str, replayed: bool) {
    write_members(
        out,
        &[
            ("command_id", Part::Text(command.command_id(py))),
            ("merchant_id", Part::Text(command.merchant_id(py))),
            ("idempotency_key", Part::TextOrNull(command.idempotency_key(py))),
            ("status", Part::Int(status)),
            ("replayed", Part::Bool(replayed)),
            ("body", Part::Text(body)),
        ],
    );
}

/// A charge event; `charge` is its canonical text.
#[allow(clippy::too_many_arguments)]
pub fn event(
    out: &mut Vec<u8>,
    py: Python<'_>,
    command: &Command,
    fact: &Fact,
    (charge_id, currency): (&str, &str),
    sequence: i64,
    clock: i64,
    charge: &[u8],
    refund: Option<&Refund>,
) {
    write_members(
        out,
        &[
            ("event_id", Part::Text(&command.event_id)),
            ("type", Part::Text(&fact.event.name)),
            ("charge_id", Part::Text(charge_id)),
            ("merchant_id", Part::Text(command.merchant_id(py))),
            ("amount", Part::Int(fact.amount)),
            ("currency", Part::Text(currency)),
            ("sequence", Part::Int(sequence)),
            ("occurred_at", Part::Int(clock)),
            ("command_id", Part::Text(command.command_id(py))),
            ("idempotency_key", Part::TextOrNull(command.idempotency_key(py))),
        ],
    );
    out.pop();
    out.extend_from_slice(b",\"data\":{\"charge\":");
    out.extend_from_slice(charge);
    if let Some(refund) = refund {
        out.extend_from_slice(b",\"refund\":");
        refund.write(out);
    }
    out.extend_from_slice(b"}}");
}

enum Part<'a> {
    Text(&'a str),
    TextOrNull(Option<&'a str>),
    Int(i64),
    Bool(bool),
}

/// An object, its members in the order given.
fn write_members(out: &mut Vec<u8>, members: &[(&str, Part)]) {
    for (at, (name, part)) in members.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        json::write_text(out, name);
        out.push(b':');
        match part {
            Part::Text(raw) => json::write_text(out, raw),
            Part::TextOrNull(raw) => json::write_text_or_null(out, *raw),
            Part::Int(number) => json::write_int(out, *number),
            Part::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        }
    }
    out.push(b'}');
}
