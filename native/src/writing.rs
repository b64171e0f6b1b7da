//! The records of a turn as bytes, in the exact form of CONTRACT; services/processor/domain/writing.py says the same.

use pyo3::prelude::*;

use crate::charge::Fact;
use crate::commands::Command;
use crate::json::{write_int as int, write_text as text, write_text_or_null as text_or_null};

/// A command, and what its records repeat of it.
pub struct Asked<'a> {
    pub command: &'a Command,
    pub merchant_id: &'a str,
    pub command_id: &'a str,
    idempotency_key: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub fn in_words(command: &'a Command, py: Python<'a>) -> Self {
        Asked {
            command,
            merchant_id: command.merchant_id(py),
            command_id: command.command_id(py),
            idempotency_key: command.idempotency_key(py),
        }
    }
}

/// An object, its members in the order given: each a name, and what writes the value.
macro_rules! write_object {
    (
        $out:expr,
        $first:literal: $write_first:ident($($of_first:expr),+)
        $(, $name:literal: $write:ident($($of:expr),+))+
        $(,)?
    ) => {
        $out.extend_from_slice(concat!("{\"", $first, "\":").as_bytes());
        $write_first($out, $($of_first),+);
        $(
            $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
            $write($out, $($of),+);
        )+
        $out.push(b'}');
    };
}

pub struct Refund<'a> {
    pub id: String,
    pub charge_id: &'a str,
    pub amount: i64,
    pub currency: &'a str,
    pub created_at: i64,
}

impl Refund<'_> {
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        write_object!(
            out,
            "amount": int(self.amount),
            "charge_id": text(self.charge_id),
            "created_at": int(self.created_at),
            "currency": text(self.currency),
            "id": text(&self.id),
            "object": text("refund"),
        );
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_object!(
            out,
            "id": text(&self.id),
            "object": text("refund"),
            "charge_id": text(self.charge_id),
            "amount": int(self.amount),
            "currency": text(self.currency),
            "created_at": int(self.created_at),
        );
    }
}

/// A key record; `body` as it stands inside a JSON string, `charge_id` of what was executed.
pub fn key(
    out: &mut Vec<u8>,
    asked: &Asked,
    operation: &str,
    status: i64,
    body: &[u8],
    charge_id: Option<&str>,
    (completed_at, expires_at): (i64, i64),
) {
    write_object!(
        out,
        "merchant_id": text(asked.merchant_id),
        "idempotency_key": text_or_null(asked.idempotency_key),
        "operation": text(operation),
        "fingerprint": text(asked.command.fingerprint),
        "status": int(status),
        "body": text(body),
        "charge_id": text_or_null(charge_id),
        "event_id": text_or_null(charge_id.map(|_| asked.command.event_id.as_str())),
        "command_id": text(asked.command_id),
        "offset": int(asked.command.offset),
        "completed_at": int(completed_at),
        "expires_at": int(expires_at),
    );
}

/// A reply; `body` as it stands inside a JSON string.
pub fn reply(out: &mut Vec<u8>, asked: &Asked, status: i64, body: &[u8], replayed: bool) {
    write_object!(
        out,
        "command_id": text(asked.command_id),
        "merchant_id": text(asked.merchant_id),
        "idempotency_key": text_or_null(asked.idempotency_key),
        "status": int(status),
        "replayed": truth(replayed),
        "body": text(body),
    );
}

/// A charge event; `charge` is its canonical text.
pub fn event(
    out: &mut Vec<u8>,
    asked: &Asked,
    fact: &Fact,
    (charge_id, currency): (&str, &str),
    (sequence, clock): (i64, i64),
    charge: &[u8],
    refund: Option<&Refund>,
) {
    write_object!(
        out,
        "event_id": text(&asked.command.event_id),
        "type": text(&fact.event.name),
        "charge_id": text(charge_id),
        "merchant_id": text(asked.merchant_id),
        "amount": int(fact.amount),
        "currency": text(currency),
        "sequence": int(sequence),
        "occurred_at": int(clock),
        "command_id": text(asked.command_id),
        "idempotency_key": text_or_null(asked.idempotency_key),
        "data": data(charge, refund),
    );
}

fn data(out: &mut Vec<u8>, charge: &[u8], refund: Option<&Refund>) {
    out.extend_from_slice(b"{\"charge\":");
    out.extend_from_slice(charge);
    if let Some(refund) = refund {
        out.extend_from_slice(b",\"refund\":");
        refund.write(out);
    }
    out.push(b'}');
}

fn truth(out: &mut Vec<u8>, truth: bool) {
    out.extend_from_slice(if truth { b"true" } else { b"false" });
}
