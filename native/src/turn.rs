//! One batch being settled, as far as it is usual; services/processor/domain/settling.py (Turn) says the same.
//!
//! In:      commands in log order, where the partition stands, what the store holds of their keys.
//! Out:     packed records, the store's writes, where the partition stands then.
//! Errors:  what is unusual is neither decided nor counted here: `take` stops before it, and Python goes on.
//!
//! Every step reads and computes first and changes something only then, so that it can stop anywhere.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::charge::{self, Decision, Fact};
use crate::commands::{Command, Commands};
use crate::declared::{Answers, Declared};
use crate::json::{self, Value};
use crate::names;
use crate::packed::{Header, Packed};
use crate::restored;
use crate::writing::{self, Refund};

// As long as records usually are; where they are longer, their room grows.
const KEY_BYTES: usize = 1_024;
const CHARGE_BYTES: usize = 1_280;
const REPLY_BYTES: usize = 768;

#[pyclass(module = "services._native")]
pub struct Turn {
    pub declared: std::sync::Arc<Declared>,
    namespace: String,
    window_ms: i64,
    positioned: bool,
    looks_at_keys: bool,
    #[pyo3(get, set)]
    position: i64,
    #[pyo3(get, set)]
    clock: i64,
    found: Py<PyDict>,
    #[pyo3(get)]
    writes: Py<PyDict>,
    #[pyo3(get)]
    keys: Py<Packed>,
    #[pyo3(get)]
    charges: Py<Packed>,
    #[pyo3(get)]
    replies: Py<Packed>,
    #[pyo3(get)]
    executed: u64,
    #[pyo3(get)]
    replayed: u64,
    #[pyo3(get)]
    refused: u64,
    #[pyo3(get)]
    expired: u64,
    time: (i64, String), // of the clock that was asked for last
    // Room for one command's texts at a time.
    value: Vec<u8>,
    charge: Vec<u8>,
    body: Vec<u8>,
    source: String,
}

impl Turn {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        py: Python<'_>,
        declared: std::sync::Arc<Declared>,
        namespace: String,
        window_ms: i64,
        (positioned, looks_at_keys): (bool, bool),
        (position, clock): (i64, i64),
        found: Py<PyDict>,
        (keys, charges, replies): (Py<Packed>, Py<Packed>, Py<Packed>),
    ) -> Self {
        Turn {
            declared,
            namespace,
            window_ms,
            positioned,
            looks_at_keys,
            position,
            clock,
            found,
            writes: PyDict::new(py).unbind(),
            keys,
            charges,
            replies,
            executed: 0,
            replayed: 0,
            refused: 0,
            expired: 0,
            time: (-1, String::new()),
            value: Vec::with_capacity(2_048),
            charge: Vec::with_capacity(1_024),
            body: Vec::with_capacity(1_024),
            source: String::with_capacity(128),
        }
    }

    fn get<'py>(&self, py: Python<'py>, key: &Py<PyBytes>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = match self.writes.bind(py).get_item(key)? {
            Some(value) => Some(value),
            None => self.found.bind(py).get_item(key)?,
        };
        Ok(match found {
            Some(value) if !value.is_none() => Some(value.downcast_into::<PyBytes>()?),
            _ => None,
        })
    }

    /// Settle one command; false, and nothing has changed, where it is unusual.
    fn one(&mut self, py: Python<'_>, command: &Command, out: &mut Records) -> PyResult<bool> {
        let clock = self.clock.max(command.timestamp);
        let redelivered = self.positioned && command.offset < self.position;
        let executed = if self.positioned { self.get(py, command.stored_as_executed())? } else { None };
        if executed.as_ref().is_some_and(|entry| !is_of(entry.as_bytes(), command, py)) {
            return Ok(false);
        }
        let record = if self.looks_at_keys { self.get(py, &command.stored_key)? } else { None };
        if let Some(record) = record {
            let Some(kept) = Kept::read(record.as_bytes()) else { return Ok(false) };
            if clock < kept.expires_at && !(redelivered && kept.offset > command.offset) {
                self.reads(command, clock);
                if kept.fingerprint.as_bytes() != command.fingerprint {
                    self.refused += 1;
                    self.refuse(py, command, "idempotency_key_reused", out);
                } else {
                    self.replayed += 1;
                    let replayed = kept.command_id != command.command_id(py);
                    self.reply(py, command, kept.status, kept.body, replayed, out);
                }
                return Ok(true);
            }
        }
        if redelivered || executed.is_some() || clock > command.deadline_at {
            self.reads(command, clock);
            self.expired += 1;
            self.refuse(py, command, "command_expired", out);
            return Ok(true);
        }
        self.execute(py, command, clock, out)
    }

    fn reads(&mut self, command: &Command, clock: i64) {
        self.clock = clock;
        self.position = self.position.max(command.offset + 1);
    }

    fn execute(&mut self, py: Python<'_>, command: &Command, clock: i64, out: &mut Records) -> PyResult<bool> {
        let declared = self.declared.clone();
        let operation = &declared.operations[command.operation];
        let newest = match &command.stored_newest {
            Some(newest) if !operation.begins => match self.get(py, newest)? {
                None => self.get(py, &command.stored_first)?,
                found => found,
            },
            _ => None,
        };
        let Some(payload) = command.payload(py) else { return Ok(false) };
        let Some(payload) = payload.members() else { return Ok(false) };
        let event;
        let (mut before, mut sequence) = (None, 1);
        if let Some(newest) = &newest {
            let Some(parsed) = json::parse(newest.as_bytes()) else { return Ok(false) };
            event = parsed;
            let Some((charge, number)) = charge_of(&event, command.merchant_id(py)) else { return Ok(false) };
            if let Some(charge) = charge {
                (before, sequence) = (Some(charge), number + 1);
            }
        }
        let fact = match charge::decide(&declared, operation, before, payload) {
            None => return Ok(false),
            Some(Decision::Refused(code)) => {
                let problem = declared.problem(code).expect("every code has its problem");
                self.reads(command, clock);
                self.refused += 1;
                self.keep(py, command, problem.status, &problem.body, None, out)?;
                return Ok(true);
            }
            Some(Decision::Happens(fact)) => fact,
        };
        let after = match before {
            Some(charge) => charge::evolve(charge.clone(), &fact),
            None => charge::created(&command.charge_id, command.merchant_id(py), payload, &fact, clock),
        };
        let Some(after) = after else { return Ok(false) };
        self.append(py, command, &fact, &Value::Object(after), sequence, clock, out)
    }

    #[allow(clippy::too_many_arguments)]
    fn append(
        &mut self,
        py: Python<'_>,
        command: &Command,
        fact: &Fact,
        charge: &Value,
        sequence: i64,
        clock: i64,
        out: &mut Records,
    ) -> PyResult<bool> {
        let members = charge.members().expect("a charge is an object");
        let (Some(charge_id), Some(currency)) = (json::text(members, "id"), json::text(members, "currency")) else {
            return Ok(false);
        };
        if self.time.0 != clock {
            let Some(text) = names::rfc3339(clock) else { return Ok(false) };
            self.time = (clock, text);
        }
        let declared = self.declared.clone();
        let mut text = std::mem::take(&mut self.charge);
        text.clear();
        json::write_value(&mut text, charge);
        let refund = (fact.event.answers == Answers::Refund).then(|| Refund {
            id: names::derived("re", command.merchant_id(py), command.command_id(py)),
            charge_id,
            amount: fact.amount,
            currency,
            created_at: clock,
        });
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        if let Some(refund) = &refund {
            let mut plain = Vec::with_capacity(256);
            refund.write_canonical(&mut plain);
            json::write_inside(&mut body, &plain);
        } else if fact.decline_code.is_some() {
            let method = json::text(members, "payment_method").unwrap_or_default();
            let Some(decline) = declared.decline(method) else { return Ok(false) };
            for piece in [&decline.body_before, charge_id, &decline.body_after] {
                body.extend_from_slice(piece.as_bytes());
            }
        } else if text.contains(&b'\\') {
            json::write_inside(&mut body, &text);
        } else {
            json::write_plain_inside(&mut body, charge);
        }
        // From here on everything is written.
        self.reads(command, clock);
        self.executed += 1;
        let value = &mut self.value;
        value.clear();
        writing::event(value, py, command, fact, (charge_id, currency), sequence, clock, &text, refund.as_ref());
        let source = &mut self.source;
        source.clear();
        for piece in ["/", &self.namespace, "/", command.merchant_id(py)] {
            source.push_str(piece);
        }
        let mut headers: Vec<Header> = Vec::with_capacity(6);
        headers.push(("ce_specversion", Some(declared.cloud_events_version.as_bytes())));
        headers.push(("ce_id", Some(command.event_id.as_bytes())));
        headers.push(("ce_source", Some(source.as_bytes())));
        headers.push(("ce_type", Some(fact.event.ce_type.as_bytes())));
        headers.push(("ce_time", Some(self.time.1.as_bytes())));
        headers.extend(command.traceparent(py));
        out.charges.push(Some(charge_id.as_bytes()), Some(value), &headers);
        let event = PyBytes::new(py, value);
        match (&command.stored_event, &command.stored_newest) {
            (Some(stored_event), Some(newest)) => {
                let writes = self.writes.bind(py);
                writes.set_item(newest, event)?;
                writes.set_item(stored_event, PyBytes::new(py, command.key(py)))?;
            }
            (_, newest) => {
                self.writes.bind(py).set_item(&command.stored_first, event)?;
                if let Some(newest) = newest {
                    if self.get(py, newest)?.is_some() {
                        self.writes.bind(py).set_item(newest, py.None())?;
                    }
                }
            }
        }
        let answer = std::str::from_utf8(&body).expect("JSON is text");
        self.keep(py, command, fact.event.answer_status, answer, Some(charge_id), out)?;
        (self.charge, self.body) = (text, body);
        Ok(true)
    }

    /// Store the answer under the key, and give it. `charge_id`: of what was executed.
    fn keep(
        &mut self,
        py: Python<'_>,
        command: &Command,
        status: i64,
        body: &str, // as it stands inside a JSON string
        charge_id: Option<&str>,
        out: &mut Records,
    ) -> PyResult<()> {
        let value = &mut self.value;
        value.clear();
        let operation = &self.declared.operations[command.operation].name;
        let (at, until) = (self.clock, self.clock + self.window_ms);
        writing::key(value, py, command, operation, status, body, charge_id, (at, until));
        out.keys.push(Some(command.key(py)), Some(value), &[]);
        self.writes.bind(py).set_item(&command.stored_key, PyBytes::new(py, value))?;
        self.reply(py, command, status, body, false, out);
        Ok(())
    }

    /// An answer that is not stored under the key.
    fn refuse(&mut self, py: Python<'_>, command: &Command, code: &str, out: &mut Records) {
        let declared = self.declared.clone();
        let problem = declared.problem(code).expect("every code has its problem");
        self.reply(py, command, problem.status, &problem.body, false, out);
    }

    /// `body` as it stands inside a JSON string.
    fn reply(&mut self, py: Python<'_>, command: &Command, status: i64, body: &str, replayed: bool, out: &mut Records) {
        let value = &mut self.value;
        value.clear();
        writing::reply(value, py, command, status, body, replayed);
        out.replies.push(Some(command.command_id(py).as_bytes()), Some(value), &command.passed_on(py));
    }
}

/// Where the records of a turn go.
struct Records<'a> {
    keys: &'a mut Packed,
    charges: &'a mut Packed,
    replies: &'a mut Packed,
}

#[pymethods]
impl Turn {
    /// Settle commands from `first` on; the index of the first one that is left to Python, or how many there are.
    fn take(&mut self, py: Python<'_>, commands: &Commands, first: usize) -> PyResult<usize> {
        let (keys, charges, replies) =
            (self.keys.clone_ref(py), self.charges.clone_ref(py), self.replies.clone_ref(py));
        let (mut keys, mut charges, mut replies) =
            (keys.borrow_mut(py), charges.borrow_mut(py), replies.borrow_mut(py));
        let left = commands.all.len() - first.min(commands.all.len());
        keys.expect(left, KEY_BYTES);
        charges.expect(left, CHARGE_BYTES);
        replies.expect(left, REPLY_BYTES);
        let mut out = Records { keys: &mut keys, charges: &mut charges, replies: &mut replies };
        crate::guarded(|| {
            for (at, command) in commands.all.iter().enumerate().skip(first) {
                match command {
                    Some(command) if self.one(py, command, &mut out)? => (),
                    _ => return Ok(at),
                }
            }
            Ok(commands.all.len())
        })
    }
}

/// Whether the store's entry of a command that was executed is one of its own: a first event, or a record key.
fn is_of(entry: &[u8], command: &Command, py: Python<'_>) -> bool {
    if command.stored_event.is_some() {
        return entry == command.key(py);
    }
    let key = command.key(py);
    restored::executed(entry).is_some_and(|(.., under)| {
        under.iter().try_fold(key, |rest, piece| rest.strip_prefix(*piece)).is_some_and(<[u8]>::is_empty)
    })
}

/// What a key record says, as far as an answer needs it.
struct Kept<'a> {
    fingerprint: &'a str,
    status: i64,
    body: &'a str, // inside a JSON string
    command_id: &'a str,
    offset: i64,
    expires_at: i64,
}

impl<'a> Kept<'a> {
    fn read(raw: &'a [u8]) -> Option<Kept<'a>> {
        let value = json::parse(raw)?;
        let record = value.members()?;
        Some(Kept {
            fingerprint: json::text(record, "fingerprint")?,
            status: json::int(record, "status")?,
            body: json::text(record, "body")?,
            command_id: json::text(record, "command_id")?,
            offset: json::int(record, "offset")?,
            expires_at: json::int(record, "expires_at")?,
        })
    }
}

/// The charge in an event and the event's number; without it where another merchant's.
fn charge_of<'m, 'a>(event: &'m Value<'a>, merchant_id: &str) -> Option<(Option<&'m json::Members<'a>>, i64)> {
    let event = event.members()?;
    if json::text(event, "merchant_id")? != merchant_id {
        return Some((None, 0));
    }
    let charge = json::member(json::member(event, "data")?.members()?, "charge")?.members()?;
    Some((Some(charge), json::int(event, "sequence")?))
}
