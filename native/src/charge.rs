//! What a command makes of a charge, read off the declarations; services/processor/domain/payment.py says the same.

use crate::declared::{Answers, Declared, Event, Operation};
use crate::json::{self, Members, Text, Value};

/// One thing that happened to a charge; `amount` is what it moves, holds, releases or was refused.
pub struct Fact<'d> {
    pub event: &'d Event,
    pub amount: i64,
    pub decline_code: Option<&'d str>,
}

pub enum Decision<'d> {
    Happens(Fact<'d>),
    Refused(&'d str),
}

fn named(raw: &str) -> Text<'_> {
    Text { raw }
}

/// None where the declarations do not say it; Python then says what is wrong.
pub fn decide<'d>(
    declared: &'d Declared,
    operation: &'d Operation,
    charge: Option<&Members>,
    payload: &Members,
) -> Option<Decision<'d>> {
    let event = operation.events.iter().map(|at| &declared.events[*at]).find(|event| event.fits(payload))?;
    let Some(limit) = &operation.limit else {
        let decline_code = match event.answers {
            Answers::Decline => Some(declared.decline(json::text(payload, "payment_method")?)?.code.as_str()),
            _ => None,
        };
        let amount = json::int(payload, "amount")?;
        return Some(Decision::Happens(Fact { event, amount, decline_code }));
    };
    let Some(charge) = charge else {
        return Some(Decision::Refused("charge_not_found"));
    };
    if let Some(code) = operation.refused_in(json::text(charge, "status")?) {
        return Some(Decision::Refused(code));
    }
    let less = limit.less.as_ref().map_or(Some(0), |less| json::int(charge, less))?;
    let most = json::int(charge, &limit.of)? - less;
    let asked = match (&limit.beyond, json::member(payload, "amount")) {
        (None, _) | (_, None | Some(Value::Null)) => None,
        (_, Some(amount)) => Some(amount.int()?),
    };
    let amount = asked.unwrap_or(most);
    if !(1..=most).contains(&amount) {
        return limit.beyond.as_deref().map(Decision::Refused);
    }
    Some(Decision::Happens(Fact { event, amount, decline_code: None }))
}

/// The charge that a first fact makes. `payload` is plain.
pub fn created<'a>(
    charge_id: &'a str,
    merchant_id: &'a str,
    mut payload: Members<'a>,
    fact: &Fact<'a>,
    clock: i64,
) -> Option<Members<'a>> {
    let mut given = |name| {
        let (_, value) = payload.iter_mut().find(|(found, _)| found.raw == name)?;
        Some(std::mem::replace(value, Value::Null))
    };
    let metadata = match given("metadata") {
        None | Some(Value::Null) => Value::Object(Vec::new()),
        Some(Value::Object(pairs)) => Value::Object(sorted(pairs)),
        Some(_) => return None,
    };
    let decline_code = fact.decline_code.map(|code| (named("decline_code"), Value::Text(named(code))));
    let mut charge: Members = Vec::with_capacity(14);
    charge.extend([
        (named("amount"), Value::Int(fact.amount)),
        (named("amount_captured"), Value::Int(0)),
        (named("amount_refunded"), Value::Int(0)),
        (named("captured"), Value::Bool(false)),
        (named("created_at"), Value::Int(clock)),
        (named("currency"), given("currency")?),
    ]);
    charge.extend(decline_code);
    charge.extend([
        (named("description"), given("description").unwrap_or(Value::Null)),
        (named("id"), Value::Text(named(charge_id))),
        (named("merchant_id"), Value::Text(named(merchant_id))),
        (named("metadata"), metadata),
        (named("object"), Value::Text(named("charge"))),
        (named("payment_method"), given("payment_method")?),
        (named("status"), Value::Text(named(""))),
    ]);
    evolve(charge, fact)
}

/// The charge after a fact; its members are sorted, before and after.
pub fn evolve<'a>(mut charge: Members<'a>, fact: &Fact<'a>) -> Option<Members<'a>> {
    let event = fact.event;
    for (name, value) in &event.sets {
        set(&mut charge, name, value.value());
    }
    for name in &event.adds {
        let before = json::int(&charge, name)?;
        set(&mut charge, name, Value::Int(before + fact.amount));
    }
    let partly = match &event.partly {
        Some(partly) if json::int(&charge, &partly.member)? < json::int(&charge, &partly.below)? => {
            Some(&partly.status)
        }
        _ => None,
    };
    if let Some(status) = partly.or(event.status.as_ref()) {
        set(&mut charge, "status", Value::Text(named(status)));
    }
    Some(charge)
}

fn set<'a>(charge: &mut Members<'a>, name: &'a str, value: Value<'a>) {
    match charge.iter_mut().find(|(found, _)| found.raw == name) {
        Some((_, before)) => *before = value,
        None => charge.insert(charge.partition_point(|(found, _)| found.raw < name), (named(name), value)),
    }
}

pub fn sorted<'a>(mut members: Members<'a>) -> Members<'a> {
    members.sort_unstable_by(|(one, _), (other, _)| json::by_name(one, other));
    members
}
