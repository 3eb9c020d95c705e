//! Where programs of one user meet when nobody says otherwise.
//!
//! ```text
//!  EVENTS_EMIT_ADDR, EVENTS_REG_ADDR      if set
//!  ipc://$XDG_RUNTIME_DIR/events/{emit,reg}
//!  ipc:///run/user/UID/events/{emit,reg}  if that folder is there
//!  ipc://$TMPDIR/events-UID/{emit,reg}    otherwise
//! ```
//!
//! Each of these folders belongs to the user alone, so nobody else can put a socket there.

use std::path::{Path, PathBuf};

use crate::engine::Addresses;
use crate::process::effective_user;

/// The variable that holds the emit address.
pub const EMIT_VARIABLE: &str = "EVENTS_EMIT_ADDR";
/// The variable that holds the reg address.
pub const REG_VARIABLE: &str = "EVENTS_REG_ADDR";

/// The addresses of the environment, and in a folder of this user where it says nothing.
#[must_use]
pub fn default_addresses() -> Addresses {
    let folder = folder();
    let address = |variable, file| {
        let given = std::env::var(variable).ok().filter(|address| !address.is_empty());
        given.unwrap_or_else(|| format!("ipc://{}", folder.join(file).display()))
    };
    Addresses { emit: address(EMIT_VARIABLE, "emit"), reg: address(REG_VARIABLE, "reg") }
}

/// Where sockets and locks of this user go. The folder may have to be made.
#[must_use]
pub fn folder() -> PathBuf {
    let user = effective_user();
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    given
        .filter(|folder| folder.is_dir())
        .or_else(|| Some(Path::new("/run/user").join(user.to_string())).filter(|folder| folder.is_dir()))
        .map(|folder| folder.join("events"))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("events-{user}")))
}
