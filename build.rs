//! Compiles `catalog.toml` into `OUT_DIR/catalog.rs`, which `src/catalog.rs` includes.
#![forbid(unsafe_code)]

fn main() {
    events_codegen::build("catalog.toml");
}
