//! What the string and bytes fields of an event may be in Rust.
//!
//! ```text
//!  emit:     Text      = AsRef<str>     &str, String, Cow<str>, Arc<str>, CompactString, …
//!  register: OwnedText = … made from a  String or a &str, and 'static
//! ```
//!
//! The same for bytes, with [`Blob`] and [`OwnedBlob`].

/// What a string field may be when it is emitted: anything that is `AsRef<str>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a string field of an event",
    label = "expected text, found `{Self}`",
    note = "a `string` field takes whatever is `AsRef<str>`: `&str`, `String`, `Cow<str>`, …"
)]
pub trait Text {
    /// The text.
    fn as_text(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> Text for T {
    #[inline]
    fn as_text(&self) -> &str {
        self.as_ref()
    }
}

/// What a string field may be when it is received: text that can be made from `String` and `&str`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a string field of an event that is received",
    label = "expected text that owns itself, found `{Self}`",
    note = "handlers get owned text: leave the parameter out (`String`), or use a type that is \
            `AsRef<str> + From<String> + for<'a> From<&'a str>`"
)]
pub trait OwnedText: Text + Sized + 'static {
    /// Copies `text`.
    fn from_text(text: &str) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + From<String> + for<'a> From<&'a str> + 'static> OwnedText for T {
    #[inline]
    fn from_text(text: &str) -> Self {
        Self::from(text)
    }
}

/// What a bytes field may be when it is emitted: anything that is `AsRef<[u8]>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a bytes field of an event",
    label = "expected bytes, found `{Self}`",
    note = "a `bytes` field takes whatever is `AsRef<[u8]>`: `&[u8]`, `Vec<u8>`, `[u8; N]`, …"
)]
pub trait Blob {
    /// The bytes.
    fn as_blob(&self) -> &[u8];
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<[u8]> + ?Sized> Blob for T {
    #[inline]
    fn as_blob(&self) -> &[u8] {
        self.as_ref()
    }
}

/// What a bytes field may be when it is received: bytes that can be made from `Vec<u8>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a bytes field of an event that is received",
    label = "expected bytes that own themselves, found `{Self}`",
    note = "handlers get owned bytes: leave the parameter out (`Vec<u8>`), or use a type that is \
            `AsRef<[u8]> + From<Vec<u8>>`"
)]
pub trait OwnedBlob: Blob + Sized + 'static {
    /// Copies `bytes`.
    fn from_blob(bytes: &[u8]) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<[u8]> + From<Vec<u8>> + 'static> OwnedBlob for T {
    #[inline]
    fn from_blob(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}
