//! `catalog!("file")`: the same items as from the build script, or the mistakes and nothing else.

use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Path as RustPath, Token};

use crate::build;

struct Input {
    root: RustPath,
    file: LitStr,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Input> {
        let root = input.call(RustPath::parse_mod_style)?;
        input.parse::<Token![,]>()?;
        let wanted = "expected the path of a catalog, as in `catalog!(\"events.toml\")`";
        let file = input.parse().map_err(|error| syn::Error::new(error.span(), wanted))?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("expected nothing after the path of the catalog"));
        }
        Ok(Input { root, file })
    }
}

/// Expands `catalog!`. The input is the path of the `events` crate, a comma, and the file.
#[must_use]
pub fn catalog(input: TokenStream) -> TokenStream {
    let Input { root, file } = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let shown = file.value();
    let path = find(&shown, file.span());
    if !path.exists() {
        let message = format!(
            "{shown}: there is no such file; it was looked for in the folder of the package (where its Cargo.toml is) and \
             beside the file that calls `catalog!`"
        );
        return quote_spanned!(file.span()=> ::core::compile_error!(#message););
    }
    match build::load(&path, &shown) {
        Ok(catalog) => {
            let items = catalog.to_tokens(&quote!(#root));
            let tracked = path.to_string_lossy();
            quote! {
                #items
                // Tells the compiler to look again when the catalog changes.
                const _: &[u8] = ::core::include_bytes!(#tracked);
            }
        }
        Err(mistakes) => mistakes
            .iter()
            .map(|mistake| {
                let message = mistake.to_string();
                quote_spanned!(file.span()=> ::core::compile_error!(#message);)
            })
            .collect(),
    }
}

/// The file, from the package's folder, or beside the file that calls.
fn find(shown: &str, span: Span) -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    let in_package = package.join(shown);
    if in_package.exists() {
        return in_package;
    }
    let beside = span.local_file().and_then(|file| Some(file.parent().map(Path::to_owned)?.join(shown)));
    match beside.map(|path| std::path::absolute(&path).unwrap_or(path)) {
        Some(path) if path.exists() => path,
        _ => in_package,
    }
}
