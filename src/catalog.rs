//! The built-in catalog: the events of `catalog.toml`, compiled by the build script.

include!(concat!(env!("OUT_DIR"), "/catalog.rs"));
