//! From a catalog of 1,000 events to Rust source: `cargo bench --bench codegen`.
//!
//! What the compiler then needs for it is measured by `benches/build-time/run.sh`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

#[allow(dead_code, unreachable_pub, reason = "shared by several benches")]
mod common;

fn codegen(criterion: &mut Criterion) {
    let text = common::catalog(1_000);
    let mut group = criterion.benchmark_group("codegen");
    group.sample_size(10);
    group.bench_function("1,000 events", |bencher| bencher.iter(|| common::generate(black_box(&text))));
}

criterion_group!(benches, codegen);
criterion_main!(benches);
