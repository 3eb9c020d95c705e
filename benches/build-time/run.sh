#!/usr/bin/env bash
# What an event costs in build time: writes a crate with one catalog of 1,000 events of three fields,
# and builds that crate alone, cold, in debug, with `serde = false` and with serde on.
#
#   benches/build-time/run.sh [EVENTS]
#
# The dependencies are built first and not counted. The goal is 15 s with `serde = false`. Each crate is
# measured twice: as a library, and as a program that takes any event of it by name, which is the most
# that can be generated for an event.
set -eu

events=${1:-1000}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${BUILD_TIME_DIR:-$root/target/build-time}
export CARGO_TARGET_DIR="$work/target"

write_crate() { # serde
    mkdir -p "$work/crate/src/bin"
    cat > "$work/crate/Cargo.toml" <<EOF
[package]
name = "many-events"
version = "0.0.0"
edition = "2024"

[dependencies]
events = { path = "$root", default-features = false }

[patch.crates-io]
zeromq-src = { path = "$root/zeromq-src" }

[workspace]
EOF
    {
        printf '[catalog]\nname = "many"\nserde = %s\n' "$1"
        number=0
        while [ "$number" -lt "$events" ]; do
            printf '\n[events.EVENT_NUMBER_%s]\ndoc = "Event number %s."\n' "$number" "$number"
            printf 'fields = { uid = "string", count = "u64", note = "string?" }\n'
            number=$((number + 1))
        done
    } > "$work/crate/events.toml"
    cat > "$work/crate/src/lib.rs" <<EOF
//! Many events.
events::catalog!("events.toml");
EOF
    cat > "$work/crate/src/bin/any.rs" <<EOF
//! Takes any of many events.
use events::{Catalog, Reader};

fn main() {
    let name = std::env::args().next().unwrap_or_default();
    let event = <many_events::AnyEvent as Catalog>::take(&name, &mut Reader::new(&[0x90]));
    println!("{}", event.map_or(0, |event| event.name().len()));
}
EOF
}

# The time that passed, and the time the processors spent: on a busy machine only the second says much.
seconds() { # what is built
    TIMEFORMAT='%1R s (%1U s of processor)'
    { time (cd "$work/crate" && cargo build --quiet --offline "$@" 2>&3); } 3>&2 2>&1
}

for serde in false true; do
    write_crate "$serde"
    (cd "$work/crate" && { [ -f Cargo.lock ] || cp "$root/Cargo.lock" . 2>/dev/null || true; } && cargo build --quiet --lib)
    (cd "$work/crate" && cargo clean --quiet -p many-events)
    printf '%s events, serde = %s: library %s' "$events" "$serde" "$(seconds --lib)"
    printf ', and a program with all of it %s more\n' "$(seconds --bin any)"
done
