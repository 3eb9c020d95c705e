//! Says who may connect: keys of users and servers, and folders that nobody else can change.
//!
//! ```text
//! ~/.config/events/            0700, made on first use
//!   server.key_secret  0600    what a server of this user proves itself with
//!   server.key                 what its clients have to know of it
//!   client.key_secret  0600    what a client of this user proves itself with
//!   client.key                 what a server has to know of it
//!   clients/NAME.key           who may connect to a server of this user, and what it may do; `own.key` is this user
//!   servers/HOST-PORT.key      servers of others, by address; also `servers/HOST.key`
//! ```
//!
//! The files have the format of pyzmq's certificates. Two programs of one user find each other without any
//! of this being touched; what two machines need is to swap the two public files.

use std::io;
use std::path::PathBuf;

mod access;
mod admitted;
mod certificate;
pub(crate) mod folder;
mod keys;
mod watch;

pub use access::{Access, AddressRange};
pub(crate) use admitted::Admitted;
pub(crate) use certificate::z85;
pub use certificate::{KeyPair, PublicKey};
pub use keys::{Allowed, Keys};

/// Why keys cannot be used. Nothing ever goes on without them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// libzmq cannot encrypt.
    #[error(
        "this libzmq was built without CURVE, so tcp addresses are refused; \
         add `zeromq-src = {{ path = \"…/events/zeromq-src\" }}` under `[patch.crates-io]` of the workspace \
         (docs/decisions/zmq-build.md), or use ipc"
    )]
    NoCurve,
    /// libzmq cannot tell other users on ipc.
    #[error(
        "this libzmq was built without a filter for users, so a server on ipc would let anybody in; \
         add `zeromq-src = {{ path = \"…/events/zeromq-src\" }}` under `[patch.crates-io]` of the workspace, and run \
         `cargo update -p zeromq-src` (docs/decisions/zmq-build.md)"
    )]
    NoUserFilter,
    /// There is no place to look for keys.
    #[error("there is no folder for keys: set EVENTS_CONFIG_DIR, or HOME")]
    NoFolder,
    /// Others could read or change what has to be ours alone.
    #[error("`{}` is not safe to use: {why}", path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// A file holds no key.
    #[error("`{}` holds no usable key: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is missing, and what to do.
        why: &'static str,
    },
    /// Nothing is known of a server.
    #[error(
        "the public key of the server at {host}:{port} is not known; copy that server's `server.key` to `{}`",
        expected.display()
    )]
    UnknownServer {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// Where its key would be looked for.
        expected: PathBuf,
    },
    /// A file says something about what its key may do that cannot be understood, so that it may do nothing.
    #[error("`{}` does not say what its key may do: `emit` or `register` is wrong", path.display())]
    Permission {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: crate::permission::NotAPattern,
    },
    /// A key cannot be called so.
    #[error(
        "`{name}` cannot name a key: use up to 64 letters, digits, `-`, `_`, `@` and `.`, which does not come first"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// Another key has the name.
    #[error("`{}` is there already: give another name, or remove it first", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// No key of this name may connect.
    #[error("no key called `{name}` may connect; those that may: {allowed}")]
    NotAllowed {
        /// What was given.
        name: String,
        /// The names that there are.
        allowed: String,
    },
    /// The system refused.
    #[error("{action} `{}` failed", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl SecurityError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> SecurityError {
        move |source| SecurityError::Io { action, path: path.to_owned(), source }
    }
}
