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

/// Nanoseconds per call.
fn time(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 10_000;
    let round = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..200).map(|_| round(&mut call)).fold(f64::INFINITY, f64::min)
}

/// Returns what to say about the ratio.
fn compare<E: Receive + Serialize + DeserializeOwned>(criterion: &mut Criterion, event: &E) -> String {
    let mut work = Work::new(event);
    let mut group = criterion.benchmark_group(E::INFO.name);
    group.bench_function("encode", |bencher| bencher.iter(|| work.put()));
    group.bench_function("encode, rmp-serde", |bencher| bencher.iter(|| work.serialize()));
    group.bench_function("decode", |bencher| bencher.iter(|| work.take()));
    group.bench_function("decode, rmp-serde", |bencher| bencher.iter(|| work.deserialize()));
    group.finish();
    let (put, serialize) = (time(|| work.put()), time(|| work.serialize()));
    let take = time(|| {
        black_box(work.take());
    });
    let deserialize = time(|| {
        black_box(work.deserialize());
    });
    format!(
        "{:26} encode {put:5.1} ns (rmp-serde {serialize:5.1}), decode {take:5.1} ns ({deserialize:5.1}), together {:.2}",
        E::INFO.name,
        (put + take) / (serialize + deserialize),
    )
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let lines = [
        compare(&mut criterion, &ClientUid::new("5f2b8e3c")),
        compare(&mut criterion, &MailUnreadMessages::new("somebody@example.org", 70_000)),
        compare(
            &mut criterion,
            &SoledadSyncSendStatus::new("123e4567-e89b-12d3-a456-426614174000", "somebody@example.org", 3, 4_000),
        ),
    ];
    criterion.final_summary();
    println!("{}", lines.join("\n"));
}
