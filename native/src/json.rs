//! JSON in the one form that this product writes it: compact, no needless escapes, integers below 2^53.
//!
//! In:      bytes.
//! Out:     a tree of slices into them, or None for every other text: unusual, and for Python to look at.
//!
//! What is accepted here is its own canonical form up to the order of members, so slices are copied, never rewritten.

use std::ops::Range;

/// As deep as a command, its payload and its metadata go, and a little more.
const DEPTH_MAX: u8 = 8;
const QUOTE: &[u8] = b"\"";
const QUOTE_INSIDE: &[u8] = b"\\\"";
/// 10^15 is below 2^53: every reader holds such a number exactly.
const DIGITS_MAX: usize = 15;

/// The inside of a string, as written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Text<'a> {
    pub raw: &'a str,
}

impl Text<'_> {
    /// Whether it stands for itself: no escapes.
    pub fn is_plain(&self) -> bool {
        !self.raw.as_bytes().contains(&b'\\')
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Text<'a>),
    Object(Members<'a>),
    Array(Vec<Value<'a>>),
}

pub type Members<'a> = Vec<(Text<'a>, Value<'a>)>;

impl<'a> Value<'a> {
    pub fn text(&self) -> Option<Text<'a>> {
        match self {
            Value::Text(text) => Some(*text),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn members(&self) -> Option<&Members<'a>> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }
}

pub fn member<'m, 'a>(members: &'m Members<'a>, name: &str) -> Option<&'m Value<'a>> {
    members.iter().find(|(found, _)| found.raw == name).map(|(_, value)| value)
}

pub fn text<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    member(members, name)?.text().map(|text| text.raw)
}

pub fn int(members: &Members, name: &str) -> Option<i64> {
    member(members, name)?.int()
}

pub fn parse(raw: &[u8]) -> Option<Value<'_>> {
    parse_spanned(raw).map(|(value, _)| value)
}

/// And where the values of the outermost object's members stand, in their order.
pub fn parse_spanned(raw: &[u8]) -> Option<(Value<'_>, Vec<Range<usize>>)> {
    let text = std::str::from_utf8(raw).ok()?;
    let mut reader = Reader { text, bytes: raw, at: 0, spans: Vec::with_capacity(16) };
    let value = reader.value(0)?;
    (reader.at == raw.len()).then_some((value, reader.spans))
}

/// The first members of an object, where they are these and in this order; what follows them is not looked at.
pub fn leading<'a, const N: usize>(raw: &'a [u8], names: [&str; N]) -> Option<[Value<'a>; N]> {
    let text = std::str::from_utf8(raw).ok()?;
    let mut reader = Reader { text, bytes: raw, at: 0, spans: Vec::new() };
    let mut found = [const { Value::Null }; N];
    for (at, name) in names.into_iter().enumerate() {
        reader.take(if at == 0 { b'{' } else { b',' })?;
        if reader.string()?.raw != name {
            return None;
        }
        reader.take(b':')?;
        found[at] = reader.value(1)?;
    }
    (reader.peek()? == b',').then_some(found)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    spans: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: u8) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u8) -> Option<Value<'a>> {
        if depth == DEPTH_MAX {
            return None;
        }
        self.at += 1;
        let mut members: Members = Vec::with_capacity(8);
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Value::Object(members));
        }
        loop {
            let name = self.string()?;
            self.take(b':')?;
            let first = self.at;
            let value = self.value(depth + 1)?;
            members.push((name, value));
            if depth == 0 {
                self.spans.push(first..self.at);
            }
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        // Two members of one name mean different things to different readers.
        distinct(&members).then_some(Value::Object(members))
    }

    fn array(&mut self, depth: u8) -> Option<Value<'a>> {
        if depth == DEPTH_MAX {
            return None;
        }
        self.at += 1;
        let mut values = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(Value::Array(values))
    }

    fn string(&mut self) -> Option<Text<'a>> {
        self.take(b'"')?;
        let first = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    // The short escapes are the only ones that our own writer makes of what a person types.
                    if !matches!(self.bytes.get(self.at + 1)?, b'"' | b'\\' | b'n' | b't' | b'r' | b'b' | b'f') {
                        return None;
                    }
                    self.at += 2;
                }
                byte if byte < 0x20 => return None,
                _ => self.at += 1,
            }
        }
        let raw = &self.text[first..self.at];
        self.at += 1;
        Some(Text { raw })
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let negative = self.peek()? == b'-';
        let first = self.at + usize::from(negative);
        let mut end = first;
        while self.bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        let digits = &self.text[first..end];
        let leading = digits.starts_with('0') && (digits.len() > 1 || negative);
        let broken = matches!(self.bytes.get(end), Some(b'.' | b'e' | b'E'));
        if digits.is_empty() || digits.len() > DIGITS_MAX || leading || broken {
            return None;
        }
        self.at = end;
        let number: i64 = digits.parse().ok()?;
        Some(Value::Int(if negative { -number } else { number }))
    }
}

fn distinct(members: &Members) -> bool {
    if members.len() <= 16 {
        return (1..members.len()).all(|at| members[..at].iter().all(|(name, _)| name.raw != members[at].0.raw));
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.raw).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// Whether every string in it stands for itself, in characters that sort by byte as by UTF-16 unit, and no list is in it.
pub fn is_plain(value: &Value) -> bool {
    match value {
        Value::Text(text) => is_plain_text(text),
        Value::Object(members) => members.iter().all(|(name, value)| is_plain_text(name) && is_plain(value)),
        Value::Array(_) => false,
        _ => true,
    }
}

fn is_plain_text(text: &Text) -> bool {
    text.raw.bytes().all(|byte| byte != b'\\' && byte < 0xF0)
}

pub fn write_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A string whose inside is written already.
pub fn write_text(out: &mut Vec<u8>, raw: &str) {
    write_marked(out, raw, QUOTE);
}

fn write_marked(out: &mut Vec<u8>, raw: &str, quote: &[u8]) {
    for piece in [quote, raw.as_bytes(), quote] {
        out.extend_from_slice(piece);
    }
}

pub fn write_text_or_null(out: &mut Vec<u8>, raw: Option<&str>) {
    match raw {
        Some(raw) => write_text(out, raw),
        None => out.extend_from_slice(b"null"),
    }
}

/// JSON as it stands inside a JSON string.
pub fn write_inside(out: &mut Vec<u8>, json: &[u8]) {
    for &byte in json {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// The same of a value without escapes, a string at a time.
pub fn write_plain_inside(out: &mut Vec<u8>, value: &Value) {
    write_quoting(out, value, QUOTE_INSIDE);
}

pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    write_quoting(out, value, QUOTE);
}

fn write_quoting(out: &mut Vec<u8>, value: &Value, quote: &[u8]) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_int(out, *number),
        Value::Text(text) => write_marked(out, text.raw, quote),
        Value::Object(members) => write_members(out, members.iter(), quote, |out, one| write_quoting(out, one, quote)),
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_quoting(out, value, quote);
            }
            out.push(b']');
        }
    }
}

fn write_members<'m, 'a: 'm>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = &'m (Text<'a>, Value<'a>)>,
    quote: &[u8],
    write: impl Fn(&mut Vec<u8>, &Value),
) {
    out.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_marked(out, name.raw, quote);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

/// RFC 8785 of a value that `is_plain`, or of one whose objects inside are sorted already.
pub fn write_canonical(out: &mut Vec<u8>, value: &Value) {
    let Value::Object(members) = value else {
        return write_value(out, value);
    };
    let mut order: Vec<&(Text, Value)> = members.iter().collect();
    order.sort_unstable_by(|one, other| one.0.raw.as_bytes().cmp(other.0.raw.as_bytes()));
    write_members(out, order.into_iter(), QUOTE, write_canonical);
}
