//! `#[derive(Event)]` and `#[derive(Field)]`: the impls, for generated and hand-written types alike.
//!
//! ```text
//!  tokens ─ syn ─▶ DeriveInput ─ input ─▶ what is to be written ─ event / field ─▶ impls
//!                                   └ mistakes: all of them, and a stub, so that nothing follows from them
//! ```

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

mod attributes;
mod enumeration;
mod event;
mod face;
mod field;
mod input;

use input::Mistakes;

/// Expands `#[derive(Event)]`.
#[must_use]
pub fn event(input: TokenStream) -> TokenStream {
    expand(input, event::expand, event::stub)
}

/// Expands `#[derive(Field)]`.
#[must_use]
pub fn field(input: TokenStream) -> TokenStream {
    expand(input, field::expand, field::stub)
}

fn expand(
    input: TokenStream,
    expand: fn(&DeriveInput, &mut Mistakes) -> Option<TokenStream>,
    stub: fn(&DeriveInput) -> TokenStream,
) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut mistakes = Mistakes::default();
    let expanded = expand(&input, &mut mistakes);
    match (mistakes.finish(), expanded) {
        (None, Some(expanded)) => expanded,
        (errors, _) => {
            let stub = stub(&input);
            quote!(#errors #stub)
        }
    }
}

/// Everything inside one anonymous block, where `__p` is the module for generated code.
fn block(root: &syn::Path, items: &TokenStream) -> TokenStream {
    quote! {
        #[doc(hidden)]
        #[allow(deprecated, non_local_definitions, unused_qualifications)]
        const _: () = {
            use #root::__private as __p;
            #items
        };
    }
}
