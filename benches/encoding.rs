//! Our encoding against rmp-serde with serde's derives, per event: `cargo bench --bench encoding`.
//!
//! The goal is at most 0.8 of rmp-serde's time for encoding and decoding together: the last lines say what it is, from
//! the best of many rounds, which is the least disturbed one.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use events::catalog::{ClientUid, MailUnreadMessages, SoledadSyncSendStatus};
use events::{Reader, Receive};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Both ways, by both.
struct Work<'a, E> {
    event: &'a E,
    bytes: Vec<u8>,
    out: Vec<u8>,
}

impl<'a, E: Receive + Serialize + DeserializeOwned> Work<'a, E> {
    fn new(event: &'a E) -> Self {
        let mut bytes = Vec::new();
        event.put(&mut bytes).unwrap();
        Work { event, bytes, out: Vec::with_capacity(1_024) }
    }

    fn put(&mut self) {
        self.out.clear();
        black_box(self.event).put(&mut self.out).unwrap();
        black_box(&self.out);
    }

    fn serialize(&mut self) {
        self.out.clear();
        black_box(self.event).serialize(&mut rmp_serde::Serializer::new(&mut self.out)).unwrap();
        black_box(&self.out);
    }

    fn take(&self) -> E {
        E::take(&mut Reader::new(black_box(&self.bytes))).unwrap()
    }

    fn deserialize(&self) -> E {
        rmp_serde::from_slice(black_box(&self.bytes)).unwrap()
    }
}

/// How many calls one look at the clock is for.
const CALLS: u32 = 10_000;

/// Nanoseconds per call, if that is less than `least`.
fn time<W>(least: f64, work: &mut W, call: impl Fn(&mut W)) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call(work);
    }
    least.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS))
}

/// Returns what to say about the ratio.
fn compare<E: Receive + Serialize + DeserializeOwned>(criterion: &mut Criterion, name: &str, event: &E) -> String {
    let mut work = Work::new(event);
    let mut group = criterion.benchmark_group(name);
    group.bench_function("encode", |bencher| bencher.iter(|| work.put()));
    group.bench_function("encode, rmp-serde", |bencher| bencher.iter(|| work.serialize()));
    group.bench_function("decode", |bencher| bencher.iter(|| work.take()));
    group.bench_function("decode, rmp-serde", |bencher| bencher.iter(|| work.deserialize()));
    group.finish();
    // By turns, so that whatever else the machine does meets both alike.
    let [mut put, mut serialize, mut take, mut deserialize] = [f64::INFINITY; 4];
    for _ in 0..200 {
        put = time(put, &mut work, Work::put);
        serialize = time(serialize, &mut work, Work::serialize);
        take = time(take, &mut work, |work| drop(black_box(work.take())));
        deserialize = time(deserialize, &mut work, |work| drop(black_box(work.deserialize())));
    }
    format!(
        "{name:32} encode {put:5.1} ns (rmp-serde {serialize:5.1}), decode {take:5.1} ns ({deserialize:5.1}), together {:.2}",
        (put + take) / (serialize + deserialize),
    )
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let lines = [
        compare(&mut criterion, "CLIENT_UID", &ClientUid::new("5f2b8e3c")),
        compare(&mut criterion, "MAIL_UNREAD_MESSAGES", &MailUnreadMessages::new("somebody@example.org", 70_000)),
        compare(
            &mut criterion,
            "MAIL_UNREAD_MESSAGES, not ASCII",
            &MailUnreadMessages::new("jürgen.müller@example.org", 70_000),
        ),
        compare(
            &mut criterion,
            "SOLEDAD_SYNC_SEND_STATUS",
            &SoledadSyncSendStatus::new(uuid, "somebody@example.org", 3, 4_000),
        ),
    ];
    criterion.final_summary();
    println!("{}", lines.join("\n"));
}
