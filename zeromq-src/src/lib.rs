//! Builds libzmq 4.3.5 with CURVE, for `zmq-sys` 0.12, which asks for one without.
//!
//! ```text
//! zmq 0.10 ─▶ zmq-sys 0.12 ─▶ this crate (the patch) ─▶ zeromq-src 0.3.6 ─▶ libzmq 4.3.5
//!                                      └─────────────▶ libsodium-sys-stable ─▶ libsodium
//! ```
//!
//! The face is that of `zeromq-src` 0.2. What differs: libsodium is linked whatever the caller says,
//! and the features that a configure script would find are set (upstream writes an empty
//! `platform.hpp`). See docs/decisions/zmq-build.md.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::{env, fs};

use libsodium_sys as _;
pub use upstream::LibLocation;

/// What Linux (since 2.6.27 and glibc 2.10, or musl) has and libzmq can use. Without these, timers
/// follow the wall clock, descriptors leak into child processes, a fork goes unnoticed, wake-ups take a
/// pair of sockets and the filter for users on ipc is refused.
const LINUX: &[&str] = &[
    "HAVE_CLOCK_GETTIME",
    "HAVE_ACCEPT4",
    "HAVE_FORK",
    "HAVE_MKDTEMP",
    "ZMQ_HAVE_SOCK_CLOEXEC",
    "ZMQ_HAVE_EVENTFD",
    "ZMQ_HAVE_EVENTFD_CLOEXEC",
    "ZMQ_HAVE_SO_PEERCRED",
    "ZMQ_HAVE_SO_KEEPALIVE",
    "ZMQ_HAVE_TCP_KEEPCNT",
    "ZMQ_HAVE_TCP_KEEPIDLE",
    "ZMQ_HAVE_TCP_KEEPINTVL",
    "ZMQ_HAVE_IFADDRS",
    "HAVE_IF_NAMETOINDEX",
    "ZMQ_HAVE_PTHREAD_SETNAME_2",
];

/// What libzmq calls in place of `getpid`, and where that is. Part of this crate's text, so that cargo sees when it changes.
const OWN_PID: &str = "-Dgetpid=zmq_cached_pid";
const OWN_PID_SOURCE: &str = include_str!("pid.c");

/// Builds and links libzmq: call it from a build script.
#[derive(Clone, Debug, Default)]
pub struct Build {
    upstream: upstream::Build,
}

impl Build {
    /// Starts with the defaults.
    pub fn new() -> Build {
        Build::default()
    }

    /// Builds with debug checks.
    pub fn build_debug(&mut self, enabled: bool) -> &mut Build {
        self.upstream.build_debug(enabled);
        self
    }

    /// Turns the draft interface on.
    pub fn enable_draft(&mut self, enabled: bool) -> &mut Build {
        self.upstream.enable_draft(enabled);
        self
    }

    /// Names another libsodium. With `None`, which is what `zmq-sys` gives, the one built from the
    /// source in `libsodium-sys-stable` is linked.
    pub fn with_libsodium(&mut self, at: Option<LibLocation>) -> &mut Build {
        self.upstream.with_libsodium(at.or_else(bundled_libsodium));
        self
    }

    /// Compiles, and tells cargo what to link.
    pub fn build(&mut self) {
        let target = env::var("TARGET").unwrap_or_default();
        if target.contains("linux") {
            let defines = LINUX.iter().map(|name| format!("-D{name}=1"));
            append_flags("CXXFLAGS", &target, defines.chain([OWN_PID.to_owned()]));
        }
        self.upstream.build();
        if target.contains("linux") {
            compile_own_pid();
        }
    }
}

fn compile_own_pid() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to put what is built"));
    let source = out.join("pid.c");
    fs::write(&source, OWN_PID_SOURCE).expect("what cargo lets us write to can be written to");
    cc::Build::new().file(source).compile("zmq_cached_pid");
}

fn bundled_libsodium() -> Option<LibLocation> {
    let (lib, include) = (option_env!("SODIUM_LIB")?, option_env!("SODIUM_INCLUDE")?);
    Some(LibLocation::new(lib, include))
}

/// Adds to the variable the `cc` crate will read: the most specific one that is set, since the others
/// are then ignored.
fn append_flags(name: &str, target: &str, flags: impl Iterator<Item = String>) {
    let names = [
        format!("{name}_{target}"),
        format!("{name}_{}", target.replace(['-', '.'], "_")),
        format!("TARGET_{name}"),
        name.to_owned(),
    ];
    let name = names.iter().find(|name| env::var_os(name).is_some()).unwrap_or(&names[0]);
    let mut value = env::var(name).unwrap_or_default();
    for flag in flags {
        value.push(' ');
        value.push_str(&flag);
    }
    env::set_var(name, value.trim_start());
}
