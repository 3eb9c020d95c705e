//! What every engine and the delivery must do. It is for tests: what is not as promised panics.
#![forbid(unsafe_code)]

pub mod faulty;
pub mod sim;
pub mod suite;
