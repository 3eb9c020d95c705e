//! Every mistake of a catalog, with its place: `tests/mistakes/NAME.toml` says `NAME.txt`.
//!
//! The texts change only when asked: `EVENTS_UPDATE_GOLDENS=1 cargo test -p events-codegen`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use events_codegen::{Catalog, Source};

fn update() -> bool {
    std::env::var_os("EVENTS_UPDATE_GOLDENS").is_some_and(|value| value == "1")
}

fn catalogs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let mut differing = Vec::new();
    for path in catalogs() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let said = match Catalog::parse(&Source::new(name.clone(), fs::read_to_string(&path).unwrap())) {
            Ok(_) => "no mistakes\n".to_owned(),
            Err(mistakes) => format!("{mistakes}\n"),
        };
        let golden = path.with_extension("txt");
        if update() {
            fs::write(golden, said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            differing.push(format!("--- {name}\n{said}"));
        }
    }
    assert!(differing.is_empty(), "these say something else than their golden texts:\n{}", differing.join("\n"));
}

#[test]
fn three_mistakes_are_three_messages() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes/three_at_once.toml");
    let mistakes = Catalog::load(path).unwrap_err();
    let lines: Vec<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [5, 8, 12]);
}

#[test]
fn a_missing_file_is_said_with_its_path() {
    let mistakes = Catalog::load("no/such/catalog.toml").unwrap_err().to_string();
    assert!(mistakes.starts_with("no/such/catalog.toml: the catalog cannot be read: "), "{mistakes}");
}

#[test]
fn no_catalog_makes_it_panic() {
    let whole = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes/default.toml")).unwrap();
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let _ = Catalog::parse(&Source::new("catalog.toml", &whole[..end]));
        let without = format!("{}{}", &whole[..end], whole[end..].chars().skip(1).collect::<String>());
        let _ = Catalog::parse(&Source::new("catalog.toml", without));
    }
}
