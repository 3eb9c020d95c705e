//! What every engine and the delivery must do.

pub mod faulty;
pub mod sim;
pub mod suite;
