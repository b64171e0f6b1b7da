//! One batch being settled, as far as it is usual; services/processor/domain/settling.py (Turn) says the same.
//!
//! In:      commands in log order, where the partition stands, what the store holds of their keys.
//! Out:     packed records, the store's writes, where the partition stands then.
//! Errors:  what is unusual is neither decided nor counted here: `take` stops before it, and Python goes on.
//!
//! Every step reads and computes first and changes something only then, so that it can stop anywhere.

use std::iter;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::charge::{self, Decision, Fact};
use crate::commands::{Command, Commands};
use crate::declared::{Answers, Declared};
use crate::json::{self, Value};
use crate::names;
use crate::packed::Packed;
use crate::restored;
use crate::writing::{self, Asked, Refund};

// As long as records usually are; where they are longer, their room grows.
const KEY_BYTES: usize = 1_024;
const CHARGE_BYTES: usize = 1_280;
const REPLY_BYTES: usize = 768;

#[pyclass(module = "services._native")]
pub struct Turn {
    pub declared: std::sync::Arc<Declared>,
    source: String,       // of events: the namespace's, and that merchant's who was written last
    source_of_all: usize, // bytes
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
        let source = format!("/{namespace}/");
        Turn {
            declared,
            source_of_all: source.len(),
            source,
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
    fn one(&mut self, py: Python<'_>, declared: &Declared, command: &Command, out: &mut Records) -> PyResult<bool> {
        let clock = self.clock.max(command.timestamp);
        let redelivered = self.positioned && command.offset < self.position;
        let executed = if self.positioned { self.get(py, command.stored_as_executed())? } else { None };
        if executed.as_ref().is_some_and(|entry| !is_of(entry.as_bytes(), command, py)) {
            return Ok(false);
        }
        let asked = Asked::in_words(command, py);
        let record = if self.looks_at_keys { self.get(py, &command.stored_key)? } else { None };
        if let Some(record) = record {
            let Some(kept) = Kept::read(record.as_bytes()) else { return Ok(false) };
            if clock < kept.expires_at && !(redelivered && kept.offset > command.offset) {
                self.reads(command, clock);
                if kept.fingerprint.as_bytes() != command.fingerprint {
                    self.refused += 1;
                    refuse(py, declared, &asked, "idempotency_key_reused", out);
                } else {
                    self.replayed += 1;
                    out.answer.clear();
                    out.answer.extend_from_slice(kept.body.as_bytes());
                    out.reply(py, &asked, kept.status, kept.command_id != asked.command_id);
                }
                return Ok(true);
            }
        }
        if redelivered || executed.is_some() || clock > command.deadline_at {
            self.reads(command, clock);
            self.expired += 1;
            refuse(py, declared, &asked, "command_expired", out);
            return Ok(true);
        }
        self.execute(py, declared, &asked, clock, out)
    }

    fn reads(&mut self, command: &Command, clock: i64) {
        self.clock = clock;
        self.position = self.position.max(command.offset + 1);
    }

    fn execute(
        &mut self,
        py: Python<'_>,
        declared: &Declared,
        asked: &Asked,
        clock: i64,
        out: &mut Records,
    ) -> PyResult<bool> {
        let command = asked.command;
        let operation = &declared.operations[command.operation];
        let newest = match &command.stored_newest {
            Some(newest) if !operation.begins => match self.get(py, newest)? {
                None => self.get(py, &command.stored_first)?,
                found => found,
            },
            _ => None,
        };
        let Some(Value::Object(payload)) = command.payload(py) else { return Ok(false) };
        let event;
        let (mut before, mut sequence) = (None, 1);
        if let Some(newest) = &newest {
            let Some(parsed) = json::parse(newest.as_bytes()) else { return Ok(false) };
            event = parsed;
            let Some((charge, number)) = charge_of(&event, asked.merchant_id) else { return Ok(false) };
            if let Some(charge) = charge {
                (before, sequence) = (Some(charge), number + 1);
            }
        }
        let fact = match charge::decide(declared, operation, before, &payload) {
            None => return Ok(false),
            Some(Decision::Refused(code)) => {
                self.reads(command, clock);
                self.refused += 1;
                let status = out.problem(declared, code);
                self.keep(py, declared, asked, status, None, out)?;
                return Ok(true);
            }
            Some(Decision::Happens(fact)) => fact,
        };
        let after = match before {
            Some(charge) => charge::evolve(charge::sorted(charge.clone()), &fact),
            None => charge::created(&command.charge_id, asked.merchant_id, payload, &fact, clock),
        };
        let Some(after) = after else { return Ok(false) };
        self.append(py, declared, asked, &fact, Value::Object(after), (sequence, clock), out)
    }

    #[allow(clippy::too_many_arguments)]
    fn append(
        &mut self,
        py: Python<'_>,
        declared: &Declared,
        asked: &Asked,
        fact: &Fact,
        charge: Value,
        (sequence, clock): (i64, i64),
        out: &mut Records,
    ) -> PyResult<bool> {
        let command = asked.command;
        let members = charge.members().expect("a charge is an object");
        let (Some(charge_id), Some(currency)) = (json::text(members, "id"), json::text(members, "currency")) else {
            return Ok(false);
        };
        if self.time.0 != clock {
            let Some(text) = names::rfc3339(clock) else { return Ok(false) };
            self.time = (clock, text);
        }
        let refund = (fact.event.answers == Answers::Refund).then(|| Refund {
            id: names::derived("re", asked.merchant_id, asked.command_id),
            charge_id,
            amount: fact.amount,
            currency,
            created_at: clock,
        });
        let Records { charges, value, charge: text, answer, .. } = &mut *out;
        text.clear();
        json::write_value(text, &charge);
        answer.clear();
        match (&refund, fact.decline_code) {
            (Some(refund), _) => {
                value.clear();
                refund.write_canonical(value);
                json::write_inside(answer, value);
            }
            (_, Some(_)) => {
                let method = json::text(members, "payment_method").unwrap_or_default();
                let Some(decline) = declared.decline(method) else { return Ok(false) };
                for part in [&decline.body_before, charge_id, &decline.body_after] {
                    answer.extend_from_slice(part.as_bytes());
                }
            }
            _ => json::write_inside(answer, text),
        }
        // From here on everything is written.
        self.reads(command, clock);
        self.executed += 1;
        value.clear();
        writing::event(value, asked, fact, (charge_id, currency), (sequence, clock), text, refund.as_ref());
        self.source.truncate(self.source_of_all);
        self.source.push_str(asked.merchant_id);
        let headers = [
            ("ce_specversion", Some(declared.cloud_events_version.as_bytes())),
            ("ce_id", Some(command.event_id.as_bytes())),
            ("ce_source", Some(self.source.as_bytes())),
            ("ce_type", Some(fact.event.ce_type.as_bytes())),
            ("ce_time", Some(self.time.1.as_bytes())),
        ];
        charges.push(Some(charge_id.as_bytes()), Some(value), headers.into_iter().chain(command.traceparent(py)));
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
        self.keep(py, declared, asked, fact.event.answer_status, Some(charge_id), out)?;
        Ok(true)
    }

    /// Store the answer under the key, and give it. `charge_id`: of what was executed.
    fn keep(
        &mut self,
        py: Python<'_>,
        declared: &Declared,
        asked: &Asked,
        status: i64,
        charge_id: Option<&str>,
        out: &mut Records,
    ) -> PyResult<()> {
        let command = asked.command;
        let operation = &declared.operations[command.operation].name;
        let (at, until) = (self.clock, self.clock + self.window_ms);
        out.value.clear();
        writing::key(&mut out.value, asked, operation, status, &out.answer, charge_id, (at, until));
        out.keys.push(Some(command.key(py)), Some(&out.value), iter::empty());
        self.writes.bind(py).set_item(&command.stored_key, PyBytes::new(py, &out.value))?;
        out.reply(py, asked, status, false);
        Ok(())
    }
}

/// Where the records of a turn go, and what each of them is written in first.
struct Records<'a> {
    keys: &'a mut Packed,
    charges: &'a mut Packed,
    replies: &'a mut Packed,
    value: Vec<u8>,
    charge: Vec<u8>,
    answer: Vec<u8>, // as it stands inside a JSON string
}

impl Records<'_> {
    /// Make a problem the answer; its status.
    fn problem(&mut self, declared: &Declared, code: &str) -> i64 {
        let problem = declared.problem(code).expect("every code has its problem");
        self.answer.clear();
        self.answer.extend_from_slice(problem.body.as_bytes());
        problem.status
    }

    fn reply(&mut self, py: Python<'_>, asked: &Asked, status: i64, replayed: bool) {
        self.value.clear();
        writing::reply(&mut self.value, asked, status, &self.answer, replayed);
        self.replies.push(Some(asked.command_id.as_bytes()), Some(&self.value), asked.command.passed_on(py));
    }
}

/// An answer that is not stored under the key.
fn refuse(py: Python<'_>, declared: &Declared, asked: &Asked, code: &str, out: &mut Records) {
    let status = out.problem(declared, code);
    out.reply(py, asked, status, false);
}

#[pymethods]
impl Turn {
    /// Settle commands from `first` on; the index of the first one that is left to Python, or how many there are.
    fn take(&mut self, py: Python<'_>, commands: &Commands, first: usize) -> PyResult<usize> {
        let (keys, charges, replies) =
            (self.keys.clone_ref(py), self.charges.clone_ref(py), self.replies.clone_ref(py));
        let (mut keys, mut charges, mut replies) =
            (keys.borrow_mut(py), charges.borrow_mut(py), replies.borrow_mut(py));
        let left = commands.all.len().saturating_sub(first);
        keys.expect(left, KEY_BYTES);
        charges.expect(left, CHARGE_BYTES);
        replies.expect(left, REPLY_BYTES);
        let mut out = Records {
            keys: &mut keys,
            charges: &mut charges,
            replies: &mut replies,
            value: Vec::with_capacity(CHARGE_BYTES),
            charge: Vec::with_capacity(CHARGE_BYTES),
            answer: Vec::with_capacity(CHARGE_BYTES),
        };
        let declared = self.declared.clone();
        crate::guarded(|| {
            for (at, command) in commands.all.iter().enumerate().skip(first) {
                match command {
                    Some(command) if self.one(py, &declared, command, &mut out)? => (),
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
