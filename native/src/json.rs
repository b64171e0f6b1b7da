//! JSON in the one form that this product writes it: compact, no needless escapes, integers below 2^53.
//!
//! In:      bytes.
//! Out:     a tree of slices into them, or None for every other text: unusual, and for Python to look at.
//!
//! What is accepted here is its own canonical form up to the order of members, so slices are copied, never rewritten.

use std::cmp::Ordering;

/// As deep as a command, its payload and its metadata go, and a little more.
const DEPTH_MAX: u8 = 8;
/// 10^15 is below 2^53: every reader holds such a number exactly.
const DIGITS_MAX: usize = 15;
/// From this first byte on, characters do not sort by byte as by UTF-16 unit.
const SORTS_OTHERWISE: u8 = 0xF0;

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
    let mut reader = Reader::new(raw)?;
    let value = reader.value(0)?;
    (reader.at == raw.len()).then_some(value)
}

/// A value and how it is written. It is plain where every string in it stands for itself, in characters that sort by byte
/// as by UTF-16 unit, and no list is in it.
pub struct Member<'a> {
    pub value: Value<'a>,
    pub raw: &'a str,
    pub is_plain: bool,
}

/// The members of an object that have these names, in whatever order and among others.
pub fn members<'a, const N: usize>(raw: &'a [u8], names: [&str; N]) -> Option<[Option<Member<'a>>; N]> {
    let mut reader = Reader::new(raw)?;
    let mut found = [const { None }; N];
    let mut others = Members::new(); // their names
    reader.take(b'{')?;
    for turn in 0.. {
        // Most often they come in this very order.
        let known = if names.get(turn).is_some_and(|name| reader.takes_name(name)) {
            Some(turn)
        } else {
            let name = reader.name()?;
            let known = names.iter().position(|known| *known == name.raw);
            if known.is_none() {
                others.push((name, Value::Null));
            }
            known
        };
        let first = reader.at;
        reader.odd = false;
        let value = reader.value(1)?;
        if let Some(at) = known {
            let member = Member { value, raw: &reader.text[first..reader.at], is_plain: !reader.odd };
            if found[at].replace(member).is_some() {
                return None;
            }
        }
        match reader.next()? {
            b',' => (),
            b'}' => break,
            _ => return None,
        }
    }
    (reader.at == raw.len() && distinct(&others)).then_some(found)
}

/// The first members of an object, where they are these and in this order; what follows them is not looked at.
pub fn leading<'a, const N: usize>(raw: &'a [u8], names: [&str; N]) -> Option<[Value<'a>; N]> {
    let mut reader = Reader::new(raw)?;
    let mut found = [const { Value::Null }; N];
    for (at, name) in names.into_iter().enumerate() {
        reader.take(if at == 0 { b'{' } else { b',' })?;
        reader.takes_name(name).then_some(())?;
        found[at] = reader.value(1)?;
    }
    (reader.peek()? == b',').then_some(found)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    odd: bool, // something was read that is not plain
}

impl<'a> Reader<'a> {
    fn new(raw: &'a [u8]) -> Option<Self> {
        Some(Reader { text: std::str::from_utf8(raw).ok()?, bytes: raw, at: 0, odd: false })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn name(&mut self) -> Option<Text<'a>> {
        let name = self.string()?;
        self.take(b':')?;
        Some(name)
    }

    /// Whether this name comes next; if not, nothing is taken.
    fn takes_name(&mut self, name: &str) -> bool {
        let rest = self.bytes[self.at..].strip_prefix(b"\"").and_then(|rest| rest.strip_prefix(name.as_bytes()));
        let is_next = rest.is_some_and(|rest| rest.starts_with(b"\":"));
        self.at += if is_next { name.len() + 3 } else { 0 };
        is_next
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
            members.push((self.name()?, self.value(depth + 1)?));
            match self.next()? {
                b',' => (),
                b'}' => break,
                _ => return None,
            }
        }
        // Two members of one name mean different things to different readers.
        distinct(&members).then_some(Value::Object(members))
    }

    fn array(&mut self, depth: u8) -> Option<Value<'a>> {
        if depth == DEPTH_MAX {
            return None;
        }
        self.at += 1;
        self.odd = true;
        let mut values = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            match self.next()? {
                b',' => (),
                b']' => break,
                _ => return None,
            }
        }
        Some(Value::Array(values))
    }

    fn string(&mut self) -> Option<Text<'a>> {
        self.take(b'"')?;
        let first = self.at;
        loop {
            while let Some(word) = self.bytes.get(self.at..self.at + 8) {
                let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
                let special = special(word);
                self.at += special.trailing_zeros() as usize / 8;
                if special != 0 {
                    break;
                }
            }
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    // The short escapes are the only ones that our own writer makes of what a person types.
                    if !matches!(self.next()?, b'"' | b'\\' | b'n' | b't' | b'r' | b'b' | b'f') {
                        return None;
                    }
                    self.odd = true;
                }
                byte if byte < 0x20 => return None,
                byte => self.odd |= byte >= SORTS_OTHERWISE,
            }
        }
        Some(Text { raw: &self.text[first..self.at - 1] })
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let negative = self.peek()? == b'-';
        let first = self.at + usize::from(negative);
        let mut number = 0i64;
        let mut end = first;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(end) {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            end += 1;
        }
        let digits = end - first;
        let leading = digits > 0 && self.bytes[first] == b'0' && (digits > 1 || negative);
        let broken = matches!(self.bytes.get(end), Some(b'.' | b'e' | b'E'));
        if digits == 0 || digits > DIGITS_MAX || leading || broken {
            return None;
        }
        self.at = end;
        Some(Value::Int(if negative { -number } else { number }))
    }
}

/// The highest bit of the first byte that a string may not simply go on with (a quote, a backslash, a control
/// character, one beyond ASCII), and maybe of later bytes; 0 where it goes on with all eight.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let below = |word: u64, byte: u64| word.wrapping_sub(ONES * byte) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\') | word) & (ONES << 7)
}

fn distinct(members: &Members) -> bool {
    if members.len() <= 16 {
        return (1..members.len()).all(|at| members[..at].iter().all(|(name, _)| name.raw != members[at].0.raw));
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.raw).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

pub fn write_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A string whose inside is written already.
pub fn write_text(out: &mut Vec<u8>, raw: impl AsRef<[u8]>) {
    out.push(b'"');
    out.extend_from_slice(raw.as_ref());
    out.push(b'"');
}

pub fn write_text_or_null(out: &mut Vec<u8>, raw: Option<&str>) {
    match raw {
        Some(raw) => write_text(out, raw),
        None => out.extend_from_slice(b"null"),
    }
}

/// JSON as it stands inside a JSON string: quotes and backslashes behind a backslash.
pub fn write_inside(out: &mut Vec<u8>, json: &[u8]) {
    let first = out.len();
    out.resize(first + 2 * json.len() + WORD, 0);
    let room = &mut out[first..];
    let words = json.chunks_exact(WORD);
    let rest = words.remainder();
    let mut last = [0; WORD];
    last[..rest.len()].copy_from_slice(rest);
    let mut at = 0;
    // Quotes stand too close to each other to copy what is between them: eight bytes are written at once, and for each
    // that needs it a backslash in its place, and it and what follows once more behind that.
    for word in words.map(|word| word.try_into().expect("it is as long as a word")).chain([last]) {
        let word = u64::from_le_bytes(word);
        room[at..at + WORD].copy_from_slice(&word.to_le_bytes());
        let mut marked = equal(word, b'"') | equal(word, b'\\');
        while marked != 0 {
            let byte = marked.trailing_zeros() as usize / 8;
            room[at + byte] = b'\\';
            at += 1;
            room[at + byte..at + byte + WORD].copy_from_slice(&(word >> (8 * byte)).to_le_bytes());
            marked &= marked - 1;
        }
        at += WORD;
    }
    out.truncate(first + at - (WORD - rest.len()));
}

const WORD: usize = 8;

/// The highest bit of each byte that is this one, and no other bit.
fn equal(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let differs = word ^ (ONES * u64::from(byte)); // nothing is carried from byte to byte: 0x7f + 0x7f < 0x100
    !(((differs & !HIGH) + !HIGH) | differs) & HIGH
}

pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_int(out, *number),
        Value::Text(text) => write_text(out, text.raw),
        Value::Object(members) => write_members(out, members.iter(), write_value),
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, value);
            }
            out.push(b']');
        }
    }
}

type Write = fn(&mut Vec<u8>, &Value);

fn write_members<'m, 'a: 'm>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = &'m (Text<'a>, Value<'a>)>,
    write: Write,
) {
    let mut count = 0;
    for (name, value) in members {
        out.extend_from_slice(if count == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(name.raw.as_bytes());
        out.extend_from_slice(b"\":");
        write(out, value);
        count += 1;
    }
    out.extend_from_slice(if count == 0 { b"{}" } else { b"}" });
}

/// RFC 8785 of a value that is plain, or of one whose objects inside are sorted already.
pub fn write_canonical(out: &mut Vec<u8>, value: &Value) {
    let Value::Object(members) = value else {
        return write_value(out, value);
    };
    let mut order: Vec<&(Text, Value)> = members.iter().collect();
    order.sort_unstable_by(|(one, _), (other, _)| by_name(one, other));
    write_members(out, order.into_iter(), write_canonical);
}

/// As RFC 8785 orders the members of an object, where their names are plain.
pub fn by_name(one: &Text, other: &Text) -> Ordering {
    // Most often the first byte tells.
    one.raw.bytes().next().cmp(&other.raw.bytes().next()).then_with(|| one.raw.as_bytes().cmp(other.raw.as_bytes()))
}
