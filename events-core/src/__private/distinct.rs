//! Whether catalogs that one program uses together have an event of the same name.
//!
//! The names come sorted, so two catalogs are merged in one pass: comparing each with each hits the limit
//! of what the compiler evaluates.

use std::cmp::Ordering;

/// Fails the build if two of `catalogs`, each a sorted list of names, share one.
pub const fn assert_distinct(catalogs: &[&[&str]]) {
    let mut one = 0;
    while one < catalogs.len() {
        let mut other = one + 1;
        while other < catalogs.len() {
            if let Some(name) = shared(catalogs[one], catalogs[other]) {
                fail(name);
            }
            other += 1;
        }
        one += 1;
    }
}

/// The first name that is in both.
const fn shared<'a>(one: &[&'a str], other: &[&str]) -> Option<&'a str> {
    let (mut left, mut right) = (0, 0);
    while left < one.len() && right < other.len() {
        match compare(one[left].as_bytes(), other[right].as_bytes()) {
            Ordering::Less => left += 1,
            Ordering::Greater => right += 1,
            Ordering::Equal => return Some(one[left]),
        }
    }
    None
}

const fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return if one[at] < other[at] { Ordering::Less } else { Ordering::Greater };
        }
        at += 1;
    }
    if one.len() == other.len() {
        Ordering::Equal
    } else if one.len() < other.len() {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// A `panic!` in `const` takes one string and nothing else, so the sentence is put together here.
const fn fail(name: &str) -> ! {
    const BEFORE: &[u8] = b"two of these catalogs declare an event `";
    const AFTER: &[u8] = b"`: give one of them a `namespace` in its [catalog] table, or rename one of the events";
    // A name has at most 255 bytes.
    let mut text = [b' '; BEFORE.len() + 255 + AFTER.len()];
    let mut end = append(&mut text, 0, BEFORE);
    end = append(&mut text, end, name.as_bytes());
    end = append(&mut text, end, AFTER);
    match std::str::from_utf8(text.split_at(end).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("two of these catalogs declare an event of the same name"),
    }
}

const fn append(text: &mut [u8], mut at: usize, piece: &[u8]) -> usize {
    let mut next = 0;
    while next < piece.len() && at < text.len() {
        text[at] = piece[next];
        at += 1;
        next += 1;
    }
    at
}
