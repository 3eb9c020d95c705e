//! What a catalog becomes: `tests/golden/NAME.rs` is made from `tests/NAME.toml` of the root package.
//!
//! The sources change only when asked: `EVENTS_UPDATE_GOLDENS=1 cargo test -p events-codegen`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use events_codegen::{Catalog, Source};

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(folder.join("../tests").join(name).with_extension("toml")).unwrap();
    let path = format!("tests/{name}.toml");
    let catalog = Catalog::parse(&Source::new(path.clone(), text)).unwrap();
    let source = catalog.to_source(&path);
    let golden = folder.join("tests/golden").join(name).with_extension("rs");
    if std::env::var_os("EVENTS_UPDATE_GOLDENS").is_some_and(|value| value == "1") {
        fs::write(golden, source).unwrap();
    } else {
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        let line = source.lines().zip(expected.lines()).position(|(one, other)| one != other);
        assert!(source == expected, "{} is out of date from line {}", golden.display(), line.unwrap_or(0) + 1);
    }
}

#[test]
fn everything_a_catalog_can_say() {
    check("everything");
}

#[test]
fn a_catalog_without_serde() {
    check("without_serde");
}
