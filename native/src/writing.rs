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

/// Append texts and bytes as they are.
macro_rules! write_pieces {
    ($out:expr, $($piece:expr),+ $(,)?) => {
        $($out.extend_from_slice(AsRef::<[u8]>::as_ref(&$piece));)+
    };
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
    write_pieces!(out, r#"{"merchant_id":""#, command.merchant_id(py), r#"","idempotency_key":"#);
    json::write_text_or_null(out, command.idempotency_key(py));
    write_pieces!(out, r#","operation":""#, operation, r#"","fingerprint":""#, command.fingerprint, r#"","status":"#);
    json::write_int(out, status);
    write_pieces!(out, r#","body":""#, body, r#"","charge_id":"#);
    json::write_text_or_null(out, charge_id);
    write_pieces!(out, r#","event_id":"#);
    json::write_text_or_null(out, charge_id.map(|_| command.event_id.as_str()));
    write_pieces!(out, r#","command_id":""#, command.command_id(py), r#"","offset":"#);
    json::write_int(out, command.offset);
    write_pieces!(out, r#","completed_at":"#);
    json::write_int(out, completed_at);
    write_pieces!(out, r#","expires_at":"#);
    json::write_int(out, expires_at);
    out.push(b'}');
}

/// A reply; `body` as it stands inside a JSON string.
pub fn reply(out: &mut Vec<u8>, py: Python<'_>, command: &Command, status: i64, body: &str, replayed: bool) {
    write_pieces!(out, r#"{"command_id":""#, command.command_id(py), r#"","merchant_id":""#, command.merchant_id(py));
    write_pieces!(out, r#"","idempotency_key":"#);
    json::write_text_or_null(out, command.idempotency_key(py));
    write_pieces!(out, r#","status":"#);
    json::write_int(out, status);
    write_pieces!(out, if replayed { r#","replayed":true,"body":""# } else { r#","replayed":false,"body":""# });
    write_pieces!(out, body, r#""}"#);
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
    write_pieces!(out, r#"{"event_id":""#, command.event_id, r#"","type":""#, fact.event.name);
    write_pieces!(
        out,
        r#"","charge_id":""#,
        charge_id,
        r#"","merchant_id":""#,
        command.merchant_id(py),
        r#"","amount":"#
    );
    json::write_int(out, fact.amount);
    write_pieces!(out, r#","currency":""#, currency, r#"","sequence":"#);
    json::write_int(out, sequence);
    write_pieces!(out, r#","occurred_at":"#);
    json::write_int(out, clock);
    write_pieces!(out, r#","command_id":""#, command.command_id(py), r#"","idempotency_key":"#);
    json::write_text_or_null(out, command.idempotency_key(py));
    write_pieces!(out, r#","data":{"charge":"#, charge);
    if let Some(refund) = refund {
        write_pieces!(out, r#","refund":"#);
        refund.write(out);
    }
    write_pieces!(out, "}}");
}

enum Part<'a> {
    Text(&'a str),
    Int(i64),
}

/// An object, its members in the order given.
fn write_members(out: &mut Vec<u8>, members: &[(&str, Part)]) {
    for (at, (name, part)) in members.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        json::write_text(out, name);
        out.push(b':');
        match part {
            Part::Text(raw) => json::write_text(out, raw),
            Part::Int(number) => json::write_int(out, *number),
        }
    }
    out.push(b'}');
}
