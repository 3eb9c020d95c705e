//! A point in time, as the type `timestamp` has it: the timestamp extension of MessagePack.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::writer;

/// A point in time: seconds and nanoseconds since 1970-01-01T00:00:00Z.
///
/// On the wire it is the timestamp extension of MessagePack (type −1), which most libraries turn
/// into the date type of their language. As text, and through serde in formats for humans, it is
/// RFC 3339 in UTC: `2026-05-04T03:02:01.5Z`.
///
/// ```
/// use events_core::Timestamp;
///
/// let noon: Timestamp = "2026-05-04T12:00:00+02:00".parse()?;
/// assert_eq!(noon.to_string(), "2026-05-04T10:00:00Z");
/// # Ok::<(), events_core::timestamp::ParseTimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;
/// The extension type that MessagePack gives to timestamps.
const EXT_TYPE: i8 = -1;

impl Timestamp {
    /// The time `seconds` and `nanoseconds` after 1970-01-01T00:00:00Z; `None` if `nanoseconds` is
    /// a second or more.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Timestamp> {
        if nanoseconds < NANOS_PER_SECOND { Some(Timestamp { seconds, nanoseconds }) } else { None }
    }

    /// The time `seconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanoseconds: 0 }
    }

    /// The time now, by the clock of the system.
    #[must_use]
    pub fn now() -> Timestamp {
        SystemTime::now().into()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// The nanoseconds after [`seconds`](Timestamp::seconds), below 1,000,000,000.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Appends the extension value in the shortest of its three forms.
    pub(crate) fn put_ext(self, out: &mut Vec<u8>) {
        match u32::try_from(self.seconds) {
            Ok(seconds) if self.nanoseconds == 0 => writer::put_ext(out, EXT_TYPE, seconds.to_be_bytes()),
            _ => match self.packed() {
                Some(packed) => writer::put_ext(out, EXT_TYPE, packed.to_be_bytes()),
                None => writer::put_ext(out, EXT_TYPE, self.long()),
            },
        }
    }

    /// The form of 64 bits: 30 of nanoseconds, 34 of seconds.
    fn packed(self) -> Option<u64> {
        let seconds = u64::try_from(self.seconds).ok()?;
        (seconds >> 34 == 0).then(|| u64::from(self.nanoseconds) << 34 | seconds)
    }

    /// The form of 96 bits.
    fn long(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.nanoseconds.to_be_bytes());
        bytes[4..].copy_from_slice(&self.seconds.to_be_bytes());
        bytes
    }

    /// The time of an extension value in any of its three forms.
    pub(crate) fn from_ext(kind: i8, value: &[u8]) -> Option<Timestamp> {
        if kind != EXT_TYPE {
            return None;
        }
        if let Ok(short) = <[u8; 4]>::try_from(value) {
            return Some(Timestamp::from_seconds(u32::from_be_bytes(short).into()));
        }
        if let Ok(packed) = <[u8; 8]>::try_from(value) {
            let packed = u64::from_be_bytes(packed);
            let seconds = i64::try_from(packed & ((1 << 34) - 1)).ok()?;
            return Timestamp::new(seconds, u32::try_from(packed >> 34).ok()?);
        }
        let (nanoseconds, seconds) = value.split_first_chunk::<4>()?;
        let seconds = <[u8; 8]>::try_from(seconds).ok()?;
        Timestamp::new(i64::from_be_bytes(seconds), u32::from_be_bytes(*nanoseconds))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp { seconds: seconds(after), nanoseconds: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                match before.subsec_nanos() {
                    0 => Timestamp::from_seconds(-seconds(before)),
                    nanos => Timestamp { seconds: -seconds(before) - 1, nanoseconds: NANOS_PER_SECOND - nanos },
                }
            }
        }
    }
}

/// The time is beyond what the clock of the system can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the timestamp is beyond what `SystemTime` can hold")]
pub struct OutOfRange;

impl TryFrom<Timestamp> for SystemTime {
    type Error = OutOfRange;

    fn try_from(time: Timestamp) -> Result<SystemTime, OutOfRange> {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = if time.seconds < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
        whole.and_then(|whole| whole.checked_add(Duration::from_nanos(time.nanoseconds.into()))).ok_or(OutOfRange)
    }
}

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01; counting years from March puts the leap day last.
const DAYS_TO_EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// The civil date `days` after 1970-01-01, proleptic Gregorian.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a civil date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    era * DAYS_PER_ERA + 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", year.unsigned_abs())?;
        if self.nanoseconds > 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// A text is not a time in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time as in `2026-05-04T03:02:01Z` (RFC 3339)")]
pub struct ParseTimestampError;

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Timestamp, ParseTimestampError> {
        parse(text).ok_or(ParseTimestampError)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>, low: i64, high: i64| {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok().filter(|number| (low..=high).contains(number))
    };
    let punctuation = |at: usize, allowed: &[u8]| text.as_bytes().get(at).filter(|byte| allowed.contains(byte));
    for (at, allowed) in [(4, b"-" as &[u8]), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")] {
        punctuation(at, allowed)?;
    }
    let (year, month) = (number(0..4, 0, 9999)?, number(5..7, 1, 12)?);
    let day = number(8..10, 1, 31)?;
    let date = days(year, month, day);
    // The 31st of a shorter month comes out as another date.
    if civil(date) != (year, month, day) {
        return None;
    }
    let time = number(11..13, 0, 23)? * 3_600 + number(14..16, 0, 59)? * 60 + number(17..19, 0, 59)?;
    let mut rest = &text[19..];
    let mut nanoseconds = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, after) = fraction.split_at(length);
        if digits.is_empty() {
            return None;
        }
        nanoseconds = format!("{digits:0<9}").get(..9)?.parse().ok()?;
        rest = after;
    }
    let offset = match rest.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let start = text.len() - 5;
            let offset = number(start..start + 2, 0, 23)? * 3_600 + number(start + 3..start + 5, 0, 59)? * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Timestamp::new(date * SECONDS_PER_DAY + time - offset, nanoseconds)
}

/// rmp-serde writes a newtype of this name, around a type number and bytes, as an extension value.
const EXT_STRUCT: &str = rmp_serde::MSGPACK_EXT_STRUCT_NAME;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let mut value = Vec::with_capacity(12);
        self.put_ext(&mut value);
        // Behind the marker, the length in the long form, and the type.
        let header = if value.len() == 15 { 3 } else { 2 };
        serializer.serialize_newtype_struct(EXT_STRUCT, &(EXT_TYPE, Raw(&value[header..])))
    }
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        use serde::de::Error;

        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        deserializer.deserialize_newtype_struct(EXT_STRUCT, ExtVisitor)
    }
}

struct ExtVisitor;

impl<'de> serde::de::Visitor<'de> for ExtVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Timestamp, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Timestamp, A::Error> {
        use serde::de::Error;

        let missing = || A::Error::invalid_length(0, &"the type and the bytes of an extension value");
        let kind: i8 = sequence.next_element()?.ok_or_else(missing)?;
        let value: crate::__private::bytes::Wrap<Vec<u8>> = sequence.next_element()?.ok_or_else(missing)?;
        Timestamp::from_ext(kind, &value.0).ok_or_else(|| A::Error::custom("an extension value that is no timestamp"))
    }
}
