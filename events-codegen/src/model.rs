//! A catalog that is known to be right: what code, payloads and exports are made from.

use crate::shape;

/// A whole catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// What it calls itself.
    pub name: String,
    /// What it says about itself.
    pub doc: String,
    /// Payloads derive `Serialize` and `Deserialize`.
    pub serde: bool,
    /// The types that fields may use, in the order of the file.
    pub types: Vec<TypeDef>,
    /// The events, in the order of the file.
    pub events: Vec<Event>,
}

impl Catalog {
    /// The event called `name` on the wire.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.name == name)
    }

    /// The canonical text of the shape of `event`.
    #[must_use]
    pub fn shape_text(&self, event: &Event) -> String {
        shape::text(self, event)
    }

    /// The fingerprint of the shape of `event`.
    #[must_use]
    pub fn fingerprint(&self, event: &Event) -> u64 {
        shape::fingerprint(&shape::text(self, event))
    }
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The name on the wire.
    pub name: String,
    /// The name in Rust.
    pub rust_name: String,
    /// What it means.
    pub doc: String,
    /// Its fields, in the order of the wire.
    pub fields: Vec<Field>,
    /// The server keeps the last one for late joiners.
    pub retain: bool,
    /// Why it should not be used any more, if so.
    pub deprecated: Option<String>,
}

/// A field of an event or of a struct type.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name, as in the catalog.
    pub name: String,
    /// The name in Rust, without `r#`.
    pub rust_name: String,
    /// What it means.
    pub doc: String,
    /// Its type.
    pub ty: Type,
    /// What it is when a payload lacks it.
    pub default: Option<Value>,
    /// Shown as `<secret>`.
    pub secret: bool,
}

impl Field {
    /// Payloads may lack it.
    #[must_use]
    pub fn optional(&self) -> bool {
        self.default.is_some() || matches!(self.ty, Type::Optional(_))
    }
}

/// A type that the catalog declares.
#[derive(Clone, Debug)]
pub struct TypeDef {
    /// Its name, the same in Rust.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// What it is.
    pub kind: TypeKind,
}

/// What a type that the catalog declares is.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// One of these.
    Enum(Vec<Variant>),
    /// All of these.
    Struct(Vec<Field>),
}

/// A variant of an enum type.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The name on the wire.
    pub name: String,
    /// The name in Rust.
    pub rust_name: String,
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// One of the types there always are.
    Scalar(Scalar),
    /// `T?`
    Optional(Box<Type>),
    /// `[T]`
    List(Box<Type>),
    /// `{T}`
    Map(Box<Type>),
    /// A type that the catalog declares: its place in [`Catalog::types`].
    Named(usize),
}

impl Type {
    /// The type below lists, maps and options.
    #[must_use]
    pub fn innermost(&self) -> &Type {
        match self {
            Type::Optional(of) | Type::List(of) | Type::Map(of) => of.innermost(),
            other => other,
        }
    }
}

macro_rules! scalars {
    ($($variant:ident $name:literal,)*) => {
        /// A type there always is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scalar {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Scalar {
            /// All of them.
            pub const ALL: &'static [Scalar] = &[$(Scalar::$variant,)*];

            /// The name in the catalog.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Scalar::$variant => $name,)* }
            }
        }
    };
}

scalars! {
    Bool "bool",
    I8 "i8",
    I16 "i16",
    I32 "i32",
    I64 "i64",
    U8 "u8",
    U16 "u16",
    U32 "u32",
    U64 "u64",
    F32 "f32",
    F64 "f64",
    String "string",
    Bytes "bytes",
    Timestamp "timestamp",
    Uuid "uuid",
}

/// A value of a type, as a default has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of `bool`.
    Bool(bool),
    /// Of an integer type, which it fits.
    Integer(i128),
    /// Of `f32` or `f64`.
    Float(f64),
    /// Of `string`.
    String(String),
    /// Of `bytes`.
    Bytes(Vec<u8>),
    /// Of `timestamp`: seconds and nanoseconds since 1970.
    Timestamp(i64, u32),
    /// Of `uuid`.
    Uuid(u128),
    /// Of `T?`: nothing, in the default of a struct that has such a field.
    None,
    /// Of `T?`: a value that is there.
    Some(Box<Value>),
    /// Of `[T]`.
    List(Vec<Value>),
    /// Of `{T}`.
    Map(Vec<(String, Value)>),
    /// Of an enum type: the place of the variant.
    Variant(usize),
    /// Of a struct type: a value per field.
    Struct(Vec<Value>),
}
