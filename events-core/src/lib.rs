//! Events between programs: the engines.
#![deny(unsafe_code)]

pub mod engine;
