//! Points in time as catalogs and JSON write them (RFC 3339), and as seconds and nanoseconds.

use toml::value::{Datetime, Offset};

/// Days from 0000-03-01 to 1970-01-01; counting years from March puts the leap day last.
const DAYS_TO_EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z; `None` without date, time and offset.
pub(crate) fn of_datetime(time: &Datetime) -> Option<(i64, u32)> {
    let (date, clock) = (time.date?, time.time?);
    let offset = match time.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes) * 60,
    };
    let year = i64::from(date.year) - i64::from(date.month <= 2);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (i64::from(date.month) + 9) % 12;
    let day = (153 * month + 2) / 5 + i64::from(date.day) - 1;
    let days = era * DAYS_PER_ERA + 365 * year + year / 4 - year / 100 + day - DAYS_TO_EPOCH;
    let seconds = i64::from(clock.hour) * 3_600 + i64::from(clock.minute) * 60 + i64::from(clock.second.unwrap_or(0));
    Some((days * 86_400 + seconds - offset, clock.nanosecond.unwrap_or(0)))
}

#[cfg(feature = "runtime")]
pub(crate) fn parse(text: &str) -> Option<(i64, u32)> {
    of_datetime(&text.parse().ok()?)
}

#[cfg(feature = "runtime")]
pub(crate) fn format(seconds: i64, nanoseconds: u32) -> String {
    let days = seconds.div_euclid(86_400) + DAYS_TO_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let second = seconds.rem_euclid(86_400);
    let fraction = match nanoseconds {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    let sign = if year < 0 { "-" } else { "" };
    format!(
        "{sign}{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{fraction}Z",
        year.unsigned_abs(),
        second / 3_600,
        second / 60 % 60,
        second % 60,
    )
}
