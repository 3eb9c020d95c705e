//! What every engine and the delivery must do.
#![forbid(unsafe_code)]

pub mod faulty;
pub mod sim;
pub mod suite;
