//! What a build script calls.

use std::path::{Path, PathBuf};

use crate::model::Catalog;
use crate::source::{Mistakes, Source};

/// Compiles the catalog `path` into formatted Rust source.
///
/// # Errors
/// All mistakes there are in it, or why the file cannot be read.
pub fn compile(path: impl AsRef<Path>) -> Result<String, Mistakes> {
    let path = path.as_ref();
    Ok(Catalog::load(path)?.to_source(&path.display().to_string()))
}

/// All that a build script has to do: compiles the catalog `path`, which is relative to the
/// package, into a file of the same name in `OUT_DIR` (`catalog.toml` gives `catalog.rs`), tells
/// Cargo what to watch, and has Cargo report every mistake as an error of its own.
///
/// ```no_run
/// events_codegen::build("catalog.toml");
/// ```
pub fn build(path: impl AsRef<Path>) {
    let path = path.as_ref();
    println!("cargo::rerun-if-changed={}", path.display());
    let error = |message: &dyn std::fmt::Display| println!("cargo::error={message}");
    match compile(path) {
        Err(mistakes) => mistakes.iter().for_each(|mistake| error(mistake)),
        Ok(source) => {
            let Some(folder) = std::env::var_os("OUT_DIR") else {
                return error(&"OUT_DIR is not set: `events_codegen::build` is for build scripts");
            };
            // A name may have dots in it: only what is behind the last is replaced.
            let mut name = path.file_stem().unwrap_or(path.as_os_str()).to_owned();
            name.push(".rs");
            let out = PathBuf::from(folder).join(name);
            if let Err(why) = std::fs::write(&out, source) {
                error(&format_args!("{} cannot be written: {why}", out.display()));
            }
        }
    }
}

/// Reads the catalog in the file `path`, which messages call `shown`.
pub(crate) fn load(path: &Path, shown: &str) -> Result<Catalog, Mistakes> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| Mistakes::of_file(shown, format!("the catalog cannot be read: {why}")))?;
    Catalog::parse(&Source::new(shown, text))
}

pub(crate) fn format(catalog: &Catalog, path: &str) -> String {
    let header = format!("// Made from {path} by events-codegen. Do not edit: change the catalog.\n\n");
    let tokens = catalog.to_tokens(&quote::quote!(::events));
    let Ok(mut file) = syn::parse2::<syn::File>(tokens.clone()) else {
        // Never seen; the compiler would then say what is wrong with it.
        return header + &tokens.to_string();
    };
    // One by one, for an empty line between them.
    let items = std::mem::take(&mut file.items).into_iter().map(|item| {
        file.items = vec![item];
        prettyplease::unparse(&file)
    });
    header + &items.collect::<Vec<_>>().join("\n")
}
