//! From a frame to the handlers: `cargo bench --bench dispatch`.
//!
//! Each figure is of one frame of ten records; criterion's throughput is in records.

use std::hint::black_box;

use criterion::{BatchSize, Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use events::catalog::AnyEvent;
use events::{Catalog, Reader};

#[allow(dead_code, unreachable_pub, reason = "shared by several benches")]
mod common;

use common::{Dispatch, RECORDS};

fn dispatch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(RECORDS));
    let cases = [("handlers", 1, 0), ("handlers", 10, 0), ("handlers", 1_000, 0), ("other names", 1, 1_000)];
    let bench = |bencher: &mut Bencher<'_>, dispatch: Dispatch| {
        let dispatch = std::cell::RefCell::new(dispatch);
        let frame = || dispatch.borrow_mut().frame();
        bencher.iter_batched(frame, |step| dispatch.borrow_mut().step(step), BatchSize::SmallInput);
    };
    for (what, handlers, others) in cases {
        let count = if others > 0 { others } else { handlers };
        let id = BenchmarkId::new(what, count);
        group.bench_function(id, |bencher| bench(bencher, Dispatch::new(handlers, others)));
    }
    group.bench_function("any event", |bencher| bench(bencher, Dispatch::any()));
}

fn lookup(criterion: &mut Criterion) {
    let payload = common::put(&common::client_uid());
    criterion.bench_function("take any event by name", |bencher| {
        bencher.iter(|| <AnyEvent as Catalog>::take(black_box("CLIENT_UID"), &mut Reader::new(black_box(&payload))));
    });
}

criterion_group!(benches, dispatch, lookup);
criterion_main!(benches);
