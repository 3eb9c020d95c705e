//! Keeps an address for one server at a time: folders, locks and stale sockets.
//!
//! Binding an ipc address in libzmq removes whatever socket is there, also one that is being served. So
//! before it binds, a server takes a lock that belongs to the address and lasts as long as the process or
//! the hub does, whichever ends first, and looks whether somebody without that lock listens there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::address::Address;

use crate::engine::EngineError;
use crate::process::effective_user;
use crate::security::folder;

/// A right to serve at one address, held while this value lives.
#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    socket: Option<PathBuf>,
    _lock: File,
}

impl Place {
    /// Takes the places of `addresses` in an order that is the same for everybody, so that two servers
    /// that start at once cannot each get half of what the other needs.
    pub(super) fn take_all(addresses: &[&Address]) -> Result<Vec<Place>, EngineError> {
        let mut wanted = Vec::new();
        for address in addresses {
            if let Some(file) = lock_file(address)? {
                wanted.push((file, *address));
            }
        }
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        wanted.into_iter().map(|(file, address)| Place::take(&file, address)).collect()
    }

    /// The place of an address whose port has only become known by binding it.
    pub(super) fn take_bound(address: &Address) -> Result<Option<Place>, EngineError> {
        lock_file(address)?.map(|file| Place::take(&file, address)).transpose()
    }

    fn take(file: &Path, address: &Address) -> Result<Place, EngineError> {
        let lock = loop {
            let lock = open_lock(file).map_err(|source| io_error("opening the lock", file, source))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(EngineError::Served { address: address.endpoint() }),
                Err(TryLockError::Error(source)) => return Err(io_error("locking", file, source)),
            }
            // Whoever had it before may have removed the file in between: then this locks nothing.
            let inode = |found: io::Result<fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
            if inode(lock.metadata()) == inode(fs::symlink_metadata(file)) {
                break lock;
            }
        };
        let socket = match address {
            Address::Ipc(path) => Some(path.clone()),
            _ => None,
        };
        if let Some(path) = &socket {
            clear(path, address)?;
        }
        Ok(Place { file: file.to_owned(), socket, _lock: lock })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // libzmq leaves the socket. The lock is still held here, so both files are ours.
        if let Some(path) = &self.socket {
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_file(&self.file);
    }
}

/// Removes a socket that nobody serves any more.
fn clear(path: &Path, address: &Address) -> Result<(), EngineError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io_error("looking at", path, source)),
    };
    if !found.file_type().is_socket() {
        return Err(EngineError::Address {
            address: address.endpoint(),
            why: "there is a file that is no socket; choose another path".into(),
        });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| io_error("removing the stale socket", path, source))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Somebody listens there, or we may not even ask: not ours to remove.
        _ => Err(EngineError::InUse { address: address.endpoint() }),
    }
}

fn lock_file(address: &Address) -> Result<Option<PathBuf>, EngineError> {
    match address {
        Address::Ipc(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".lock");
            Ok(Some(name.into()))
        }
        Address::Tcp { host, port } if *port != 0 => {
            let host = host.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
            Ok(Some(runtime_folder()?.join(format!("tcp-{host}-{port}.lock"))))
        }
        _ => Ok(None),
    }
}

/// Why a port cannot be bound although its place is ours: another server of this user has it under
/// another name (`*`, say, or another address of this machine), or a stranger has it.
pub(super) fn taken(address: &Address, ours: &[Place]) -> EngineError {
    let served = || {
        let Address::Tcp { port, .. } = address else { return None };
        let end = format!("-{port}.lock");
        let entries = fs::read_dir(runtime_folder().ok()?).ok()?;
        entries.flatten().find(|entry| {
            entry.file_name().to_string_lossy().ends_with(&end)
                && !ours.iter().any(|place| place.file == entry.path())
                && open_lock(&entry.path()).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
        })
    };
    match served() {
        Some(_) => EngineError::Served { address: address.endpoint() },
        None => EngineError::InUse { address: address.endpoint() },
    }
}

fn open_lock(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(file)
}

/// Where locks and sockets of this user go.
fn runtime_folder() -> Result<PathBuf, EngineError> {
    let user = effective_user();
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = given
        .or_else(|| Some(format!("/run/user/{user}").into()))
        .filter(|folder| folder.is_dir())
        .map(|folder| folder.join("events"))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("events-{user}")));
    folder::own(&folder)?;
    Ok(folder)
}

/// A path for a socket that no other server has.
pub(super) fn anywhere() -> Result<PathBuf, EngineError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    Ok(runtime_folder()?.join(format!("{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))))
}

/// Makes the folder of an ipc address, if there is one to make, and checks that nobody else can put a
/// socket there. Clients do this too: whoever owns the folder decides who the server is.
pub(super) fn prepare(address: &Address) -> Result<(), EngineError> {
    let Address::Ipc(path) = address else { return Ok(()) };
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(folder::own(Path::new("."))?),
        Some(parent) => Ok(folder::own(parent)?),
        None => Err(EngineError::Address { address: address.endpoint(), why: "it names no file".into() }),
    }
}

fn io_error(action: &str, path: &Path, source: io::Error) -> EngineError {
    EngineError::Io { action: format!("{action} `{}`", path.display()), source }
}
