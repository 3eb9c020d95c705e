//! Events between programs: the engines.
#![deny(unsafe_code)]

pub mod engine;
#[cfg(feature = "zmq")]
pub mod security;
