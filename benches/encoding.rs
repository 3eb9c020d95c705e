//! Our encoding against rmp-serde with serde's derives, per event: `cargo bench --bench encoding`.
//!
//! The goal is at most 0.8 of rmp-serde's time for encoding and decoding together. Each figure is the
//! best of many rounds, which is the least disturbed one.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use events::catalog::{ClientUid, MailUnreadMessages, SoledadSyncSendStatus};
use events::{Reader, Receive};
use serde::Serialize;
use serde::de::DeserializeOwned;

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

fn compare<E: Receive + Serialize + DeserializeOwned>(event: &E) {
    let mut out = Vec::with_capacity(1_024);
    let put = time(|| {
        out.clear();
        black_box(event).put(&mut out).unwrap();
        black_box(&out);
    });
    let serialize = time(|| {
        out.clear();
        black_box(event).serialize(&mut rmp_serde::Serializer::new(&mut out)).unwrap();
        black_box(&out);
    });
    let take = time(|| {
        black_box(E::take(&mut Reader::new(black_box(&out))).unwrap());
    });
    let deserialize = time(|| {
        black_box(rmp_serde::from_slice::<E>(black_box(&out)).unwrap());
    });
    println!(
        "{:26} put {put:5.1} ns (rmp-serde {serialize:5.1}), take {take:5.1} ns ({deserialize:5.1}), together {:.2}",
        E::INFO.name,
        (put + take) / (serialize + deserialize),
    );
}

fn main() {
    compare(&ClientUid::new("5f2b8e3c"));
    compare(&MailUnreadMessages::new("somebody@example.org", 70_000));
    compare(&SoledadSyncSendStatus::new("123e4567-e89b-12d3-a456-426614174000", "somebody@example.org", 3, 4_000));
}
