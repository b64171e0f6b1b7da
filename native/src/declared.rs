//! What events/operations and events/charge_events declare, as this crate reads it.
//!
//! In:      the JSON text that services/processor/domain/declared.py writes.
//! Out:     operations, events, refusals and the texts of problems. No operation or event is named in this crate.

use std::collections::hash_map::DefaultHasher;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use crate::json::{self, Members, Value};

/// A value that a declaration names.
#[derive(Clone, PartialEq, Debug)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
}

impl Scalar {
    fn of(value: &Value) -> Option<Scalar> {
        Some(match value {
            Value::Null => Scalar::Null,
            Value::Bool(truth) => Scalar::Bool(*truth),
            Value::Int(number) => Scalar::Int(*number),
            Value::Text(text) if text.is_plain() => Scalar::Text(text.raw.to_owned()),
            _ => return None,
        })
    }

    pub fn value(&self) -> Value<'_> {
        match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(truth) => Value::Bool(*truth),
            Scalar::Int(number) => Value::Int(*number),
            Scalar::Text(raw) => Value::Text(json::Text { raw }),
        }
    }
}

/// Hashed without a seed, which is random: only declarations are in it.
type Choices = HashSet<String, BuildHasherDefault<DefaultHasher>>;

/// What one member of a payload may be.
pub enum Kind {
    Text,
    Bool,
    Int { min: i64, max: i64 },
    Choice(Choices),
    Texts { most: usize }, // an object of texts
}

impl Kind {
    fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Text, Value::Text(_)) | (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Int { min, max }, Value::Int(number)) => (min..=max).contains(&number),
            (Kind::Choice(choices), Value::Text(text)) => choices.contains(text.raw),
            (Kind::Texts { most }, Value::Object(members)) => {
                members.len() <= *most && members.iter().all(|(_, value)| value.text().is_some())
            }
            _ => false,
        }
    }
}

pub struct Member {
    pub name: String,
    pub required: bool,
    pub nullable: bool,
    pub kind: Kind,
}

pub struct Limit {
    pub of: String,
    pub less: Option<String>,
    pub beyond: Option<String>,
}

pub struct Operation {
    pub name: String,
    pub begins: bool,
    members: Vec<Member>,
    pub limit: Option<Limit>,
    refused_in: Vec<(String, String)>,
    pub events: Vec<usize>,
}

impl Operation {
    /// Whether a payload, whose names are distinct, surely obeys the rules; Python complains about what does not.
    pub fn allows(&self, payload: &Members) -> bool {
        let mut required = 0;
        let known = payload.iter().all(|(name, value)| {
            self.members.iter().find(|member| member.name == name.raw).is_some_and(|member| {
                required += usize::from(member.required);
                member.kind.allows(value) || (member.nullable && matches!(value, Value::Null))
            })
        });
        known && required == self.members.iter().filter(|member| member.required).count()
    }

    pub fn refused_in(&self, status: &str) -> Option<&str> {
        self.refused_in.iter().find(|(found, _)| found == status).map(|(_, code)| code.as_str())
    }
}

#[derive(PartialEq, Clone, Copy)]
pub enum Answers {
    Charge,
    Refund,
    Decline,
}

pub struct Partly {
    pub status: String,
    pub member: String,
    pub below: String,
}

pub struct Event {
    pub name: String,
    pub ce_type: String,
    wheres: Vec<(String, Vec<Scalar>)>,
    pub status: Option<String>,
    pub partly: Option<Partly>,
    pub sets: Vec<(String, Scalar)>,
    pub adds: Vec<String>,
    pub answers: Answers,
    pub answer_status: i64,
}

impl Event {
    pub fn fits(&self, payload: &Members) -> bool {
        self.wheres.iter().all(|(name, values)| {
            let found = json::member(payload, name).unwrap_or(&Value::Null);
            values.iter().any(|value| value.value() == *found)
        })
    }
}

pub struct Problem {
    code: String,
    pub status: i64,
    pub body: String, // inside a JSON string
}

/// Why a payment method declines, and the answer around the charge's id, inside a JSON string.
pub struct Decline {
    payment_method: String,
    pub code: String,
    pub body_before: String,
    pub body_after: String,
}

pub struct Declared {
    pub operations: Vec<Operation>,
    pub events: Vec<Event>,
    problems: Vec<Problem>,
    declines: Vec<Decline>,
    pub cloud_events_version: String,
    pub command_bytes_max: usize,
}

impl Declared {
    pub fn operation(&self, name: &str) -> Option<usize> {
        self.operations.iter().position(|operation| operation.name == name)
    }

    pub fn problem(&self, code: &str) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.code == code)
    }

    pub fn decline(&self, payment_method: &str) -> Option<&Decline> {
        self.declines.iter().find(|decline| decline.payment_method == payment_method)
    }

    /// None where something is declared that this crate does not know.
    pub fn read(raw: &[u8]) -> Option<Declared> {
        let value = json::parse(raw)?;
        let all = value.members()?;
        Some(Declared {
            operations: each(all, "operations", operation)?,
            events: each(all, "events", event)?,
            problems: each(all, "problems", |one| {
                Some(Problem {
                    code: string(one, "code")?,
                    status: json::int(one, "status")?,
                    body: string(one, "body")?,
                })
            })?,
            declines: each(all, "declines", |one| {
                Some(Decline {
                    payment_method: string(one, "payment_method")?,
                    code: string(one, "code")?,
                    body_before: string(one, "body_before")?,
                    body_after: string(one, "body_after")?,
                })
            })?,
            cloud_events_version: string(all, "cloud_events_version")?,
            command_bytes_max: usize::try_from(json::int(all, "command_bytes_max")?).ok()?,
        })
    }
}

fn each<T>(members: &Members, name: &str, read: impl Fn(&Members) -> Option<T>) -> Option<Vec<T>> {
    match json::member(members, name)? {
        Value::Array(values) => values.iter().map(|value| read(value.members()?)).collect(),
        _ => None,
    }
}

fn string(members: &Members, name: &str) -> Option<String> {
    json::text(members, name).map(str::to_owned)
}

/// The outer None: what stands there is neither a string nor null.
fn string_or_null(members: &Members, name: &str) -> Option<Option<String>> {
    match json::member(members, name)? {
        Value::Null => Some(None),
        Value::Text(text) => Some(Some(text.raw.to_owned())),
        _ => None,
    }
}

fn strings(members: &Members, name: &str) -> Option<Vec<String>> {
    match json::member(members, name)? {
        Value::Array(values) => values.iter().map(|value| Some(value.text()?.raw.to_owned())).collect(),
        _ => None,
    }
}

fn flag(members: &Members, name: &str) -> Option<bool> {
    match json::member(members, name)? {
        Value::Bool(truth) => Some(*truth),
        _ => None,
    }
}

fn operation(one: &Members) -> Option<Operation> {
    let limit = match json::member(one, "limit")? {
        Value::Null => None,
        Value::Object(limit) => Some(Limit {
            of: string(limit, "of")?,
            less: string_or_null(limit, "less")?,
            beyond: string_or_null(limit, "beyond")?,
        }),
        _ => return None,
    };
    let refused_in = json::member(one, "refused_in")?
        .members()?
        .iter()
        .map(|(status, code)| Some((status.raw.to_owned(), code.text()?.raw.to_owned())))
        .collect::<Option<_>>()?;
    let Value::Array(events) = json::member(one, "events")? else { return None };
    Some(Operation {
        name: string(one, "name")?,
        begins: flag(one, "begins")?,
        members: each(one, "members", payload_member)?,
        limit,
        refused_in,
        events: events.iter().map(|event| usize::try_from(event.int()?).ok()).collect::<Option<_>>()?,
    })
}

fn payload_member(one: &Members) -> Option<Member> {
    let kind = match json::text(one, "kind")? {
        "text" => Kind::Text,
        "bool" => Kind::Bool,
        "int" => Kind::Int { min: json::int(one, "min")?, max: json::int(one, "max")? },
        "texts" => Kind::Texts { most: usize::try_from(json::int(one, "most")?).ok()? },
        "choice" => Kind::Choice(strings(one, "choices")?.into_iter().collect()),
        _ => return None,
    };
    Some(Member {
        name: string(one, "name")?,
        required: flag(one, "required")?,
        nullable: flag(one, "nullable")?,
        kind,
    })
}

fn event(one: &Members) -> Option<Event> {
    let wheres = json::member(one, "where")?
        .members()?
        .iter()
        .map(|(name, values)| match values {
            Value::Array(values) => {
                Some((name.raw.to_owned(), values.iter().map(Scalar::of).collect::<Option<Vec<_>>>()?))
            }
            _ => None,
        })
        .collect::<Option<_>>()?;
    let partly = match json::member(one, "partly")? {
        Value::Null => None,
        Value::Object(partly) => Some(Partly {
            status: string(partly, "status")?,
            member: string(partly, "member")?,
            below: string(partly, "below")?,
        }),
        _ => return None,
    };
    let name = string(one, "name")?;
    Some(Event {
        ce_type: format!("payonce.{name}.v1"),
        name,
        wheres,
        status: string_or_null(one, "status")?,
        partly,
        sets: json::member(one, "sets")?
            .members()?
            .iter()
            .map(|(name, value)| Some((name.raw.to_owned(), Scalar::of(value)?)))
            .collect::<Option<_>>()?,
        adds: strings(one, "adds")?,
        answers: match json::text(one, "answers")? {
            "charge" => Answers::Charge,
            "refund" => Answers::Refund,
            "decline" => Answers::Decline,
            _ => return None,
        },
        answer_status: json::int(one, "answer_status")?,
    })
}
