//! Reads `ipc://`, `tcp://` and `inproc://` addresses and refuses what would not work or not be safe.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::engine::EngineError;

/// One address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket in the file system.
    Ipc(PathBuf),
    /// A socket in a new folder of its own, which libzmq chooses.
    IpcAnywhere,
    /// A host (without brackets) and a port; `*` as port 0.
    Tcp { host: String, port: u16 },
    /// A name in this process.
    Inproc(String),
}

/// The longest path that fits into a socket address, without the NUL.
const LONGEST_PATH: usize = 107;

impl Address {
    pub(super) fn parse(text: &str) -> Result<Address, EngineError> {
        let refuse = |why: String| EngineError::Address { address: text.to_owned(), why };
        if text.contains('\0') {
            return Err(refuse("it contains a NUL character".into()));
        }
        match text.split_once("://") {
            Some(("ipc", "")) => Err(refuse("a path is missing: write `ipc:///path/to/socket`".into())),
            Some(("ipc", "*")) => Ok(Address::IpcAnywhere),
            Some(("ipc", path)) if path.starts_with('@') => {
                Err(refuse("abstract sockets have no owner; give a path in a folder of your own".into()))
            }
            Some(("ipc", path)) if path.len() > LONGEST_PATH => Err(refuse(format!(
                "the path has {} bytes and the system allows {LONGEST_PATH}; use a shorter folder",
                path.len()
            ))),
            Some(("ipc", path)) => Ok(Address::Ipc(path.into())),
            Some(("inproc", "")) => Err(refuse("a name is missing: write `inproc://name`".into())),
            Some(("inproc", name)) if name.len() > 255 => {
                Err(refuse("a name of at most 255 bytes is allowed".into()))
            }
            Some(("inproc", name)) => Ok(Address::Inproc(name.to_owned())),
            Some(("tcp", rest)) => host_and_port(rest).map_err(refuse),
            _ => Err(refuse("it has to begin with `ipc://`, `tcp://` or `inproc://`".into())),
        }
    }

    /// The address as libzmq reads it.
    pub(super) fn endpoint(&self) -> String {
        match self {
            Address::Ipc(path) => format!("ipc://{}", path.display()),
            Address::IpcAnywhere => "ipc://*".to_owned(),
            Address::Tcp { host, port } if host.contains(':') => format!("tcp://[{host}]:{port}"),
            Address::Tcp { host, port } => format!("tcp://{host}:{port}"),
            Address::Inproc(name) => format!("inproc://{name}"),
        }
    }

    /// Whether only programs on this machine can be at the other end.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Address::Tcp { host, .. } => host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
            _ => true,
        }
    }
}

fn host_and_port(rest: &str) -> Result<Address, String> {
    let form = "write `tcp://HOST:PORT`, with an IPv6 host in brackets";
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| format!("a port is missing; {form}"))?;
    let port = match port {
        "*" => 0,
        number => number.parse().map_err(|_| format!("`{number}` is not a port (0 to 65535); {form}"))?,
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host,
        None if host.contains([':', '[', ']']) => return Err(format!("`{host}` is not a host; {form}")),
        // libzmq looks names up when it connects but not when it binds, so one form has to serve both.
        None if host == "localhost" => "127.0.0.1",
        None => host,
    };
    if host.is_empty() || host.contains([';', '/', ' ']) {
        return Err(format!("`{host}` is not a host; {form}"));
    }
    Ok(Address::Tcp { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_schemes_are_read() {
        let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
        for (text, address) in [
            ("ipc:///run/x/s", Address::Ipc("/run/x/s".into())),
            ("ipc://*", Address::IpcAnywhere),
            ("tcp://127.0.0.1:9000", tcp("127.0.0.1", 9000)),
            ("tcp://localhost:*", tcp("127.0.0.1", 0)),
            ("tcp://[::1]:7", tcp("::1", 7)),
            ("tcp://*:7", tcp("*", 7)),
            ("inproc://a b", Address::Inproc("a b".into())),
        ] {
            assert_eq!(Address::parse(text).ok(), Some(address), "{text}");
        }
    }

    #[test]
    fn what_would_not_work_is_refused() {
        let long = format!("ipc:///{}", "x".repeat(107));
        for text in [
            "", "ipc://", "ipc://@x", &long, "inproc://", "tcp://", "tcp://host", "tcp://host:70000",
            "tcp://:9000", "tcp://::1:9000", "tcp://a;b:9000", "udp://h:1", "127.0.0.1:9000", "ipc://a\0b",
        ] {
            assert!(matches!(Address::parse(text), Err(EngineError::Address { .. })), "{text}");
        }
    }

    #[test]
    fn only_loopback_is_local() {
        for (text, local) in [
            ("tcp://127.3.2.1:1", true), ("tcp://[::1]:1", true), ("tcp://localhost:1", true),
            ("tcp://*:1", false), ("tcp://0.0.0.0:1", false), ("tcp://example.org:1", false), ("ipc:///x/y", true),
        ] {
            assert_eq!(Address::parse(text).map(|address| address.is_local()).ok(), Some(local), "{text}");
        }
    }
}
