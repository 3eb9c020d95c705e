//! From a catalog of events to Rust source, and from catalog to payload at run time.
//!
//! ```text
//!  catalog.toml ─ read ─▶ what it says ─ resolve ─▶ Catalog ─ emit ─▶ items ─ prettyplease ─▶ OUT_DIR
//!                                                      │                └──────────────────▶ catalog!
//!                                                      └▶ shapes, and payloads (feature `runtime`)
//!  struct with #[derive(Event)] ─ derive ─▶ impls
//! ```
//!
//! Every mistake of a catalog is told at once, as `catalog.toml:12:8: …` with what is allowed.
#![forbid(unsafe_code)]

use std::path::Path;

use proc_macro2::TokenStream;
use toml::de::DeTable;

mod build;
mod cycle;
mod default;
pub mod derive;
mod emit;
mod expand;
pub mod model;
mod names;
#[cfg(feature = "runtime")]
mod payload;
mod read;
mod resolve;
mod shape;
mod source;
mod syntax;
mod time;
mod ty;

pub use build::{build, compile};
pub use expand::catalog as expand_catalog;
pub use model::Catalog;
#[cfg(feature = "runtime")]
pub use payload::{PayloadMistake, PayloadMistakes, Secrets, UndecodablePayload, UnknownEvent};
pub use source::{Mistake, Mistakes, Source};

impl Catalog {
    /// Reads a catalog.
    ///
    /// # Errors
    /// All mistakes there are in it.
    pub fn parse(source: &Source) -> Result<Catalog, Mistakes> {
        let mut report = source::Report::new(source);
        let (root, errors) = DeTable::parse_recoverable(source.text());
        let readable = syntax::report(&errors, root.get_ref(), &mut report);
        if !readable {
            return report.finish(()).and_then(|()| Err(Mistakes::of_file(source.path(), "cannot be read")));
        }
        let raw = read::read(root.get_ref(), &mut report);
        let catalog = resolve::resolve(&raw, &mut report);
        report.finish(catalog)
    }

    /// Reads a catalog from a file; messages call it by `path`.
    ///
    /// # Errors
    /// All mistakes there are in it, or why the file cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Catalog, Mistakes> {
        let path = path.as_ref();
        build::load(path, &path.display().to_string())
    }

    /// The items the catalog stands for. `root` is the path of the `events` crate, as in `::events`.
    #[must_use]
    pub fn to_tokens(&self, root: &TokenStream) -> TokenStream {
        emit::catalog(self, root)
    }

    /// The items as formatted source; the first line says where it came from.
    #[must_use]
    pub fn to_source(&self, path: &str) -> String {
        build::format(self, path)
    }
}
