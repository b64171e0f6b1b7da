//! Names that are derived, and the partition a merchant belongs to; events/identifiers.py and partitioner.py say why.

use sha2::{Digest, Sha256};

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    for (at, pair) in text.chunks_exact_mut(2).enumerate() {
        pair[0] = HEX[usize::from(bytes[at] >> 4)];
        pair[1] = HEX[usize::from(bytes[at] & 15)];
    }
    text
}

pub fn fingerprint(canonical: &[u8]) -> [u8; 64] {
    hex(&Sha256::digest(canonical))
}

/// `<prefix>_` and 32 hex digits of SHA-256 over `<prefix> NUL merchant_id NUL command_id`.
pub fn derived(prefix: &str, merchant_id: &str, command_id: &str) -> String {
    let digits: [u8; 32] = hex(&Sha256::digest([prefix, merchant_id, command_id].join("\0"))[..16]);
    let mut name = String::with_capacity(prefix.len() + 33);
    name.push_str(prefix);
    name.push('_');
    name.push_str(std::str::from_utf8(&digits).expect("hex digits are ASCII"));
    name
}

/// A UUID in lower case. All of it is looked at, without a branch for each byte.
pub fn is_command_id(text: &str) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let Ok(bytes) = <&[u8; 36]>::try_from(text.as_bytes()) else { return false };
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit() | matches!(byte, b'a'..=b'f')).count();
    digits == 32 && DASHES.iter().all(|at| bytes[*at] == b'-')
}

pub fn is_merchant_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Of a string without escapes.
pub fn is_idempotency_key(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let words = key.chunks_exact(4);
    let tail = words.remainder();
    for word in words {
        let mut k = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// `2026-01-02T03:04:05.678Z`; None beyond the years that have four digits.
pub fn rfc3339(instant_ms: i64) -> Option<String> {
    const YEAR_10000_MS: i64 = 253_402_300_800_000;
    if !(0..YEAR_10000_MS).contains(&instant_ms) {
        return None;
    }
    let (seconds, milliseconds) = (instant_ms / 1000, instant_ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days, for days from 1970 on.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{milliseconds:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    ))
}
