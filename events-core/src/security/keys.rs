//! The folder of keys: made on first use, read with suspicion.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use super::{KeyPair, PublicKey, SecurityError, certificate, folder};
use crate::permission::{Names, Permission};
use crate::process::effective_user;

/// No certificate is larger.
const LARGEST: u64 = 64 * 1024;

/// A key that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What its file is called.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// What its holder may do.
    pub permission: Permission,
}

/// A folder of keys. Nothing is read or made before it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    folder: Option<PathBuf>,
}

impl Default for Keys {
    /// The keys of this user: in `$EVENTS_CONFIG_DIR`, or `events` in `$XDG_CONFIG_HOME` or `~/.config`.
    fn default() -> Keys {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        let folder = std::env::var_os("EVENTS_CONFIG_DIR")
            .map(PathBuf::from)
            .or_else(|| absolute("XDG_CONFIG_HOME").map(|config| config.join("events")))
            .or_else(|| absolute("HOME").map(|home| home.join(".config/events")));
        Keys { folder }
    }
}

impl Keys {
    /// The keys in `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Keys {
        Keys { folder: Some(folder.into()) }
    }

    /// The folder.
    ///
    /// # Errors
    /// [`SecurityError::NoFolder`] if neither it nor a home is set.
    pub fn folder(&self) -> Result<&Path, SecurityError> {
        self.folder.as_deref().ok_or(SecurityError::NoFolder)
    }

    /// What a server of this user proves itself with.
    ///
    /// # Errors
    /// [`SecurityError`] if it cannot be made or others can read it.
    pub fn server(&self) -> Result<KeyPair, SecurityError> {
        Ok(self.pair("server")?.0)
    }

    /// What a client of this user proves itself with. The first time a user has one, servers of the same
    /// user let it in.
    ///
    /// # Errors
    /// [`SecurityError`] if it cannot be made or others can read it.
    pub fn client(&self) -> Result<KeyPair, SecurityError> {
        let (pair, new) = self.pair("client")?;
        let clients = self.clients_folder()?;
        // Not put back when it was taken away later.
        if new || !clients.exists() {
            folder::own(&clients)?;
            write(&clients.join("own.key"), &pair.public().to_certificate(), 0o644, true)?;
        }
        Ok(pair)
    }

    /// The folder with the public keys of those who may connect.
    ///
    /// # Errors
    /// [`SecurityError::NoFolder`] as in [`folder`](Keys::folder).
    pub fn clients_folder(&self) -> Result<PathBuf, SecurityError> {
        Ok(self.folder()?.join("clients"))
    }

    /// The public key of the server at an address: the one filed under it, or else that of this user's server.
    ///
    /// # Errors
    /// [`SecurityError::UnknownServer`] if the address is not on this machine and nothing is filed for it.
    pub fn server_at(&self, host: &str, port: u16, local: bool) -> Result<PublicKey, SecurityError> {
        let servers = self.folder()?.join("servers");
        let exact = servers.join(format!("{host}-{port}.key"));
        for file in [&exact, &servers.join(format!("{host}.key"))] {
            if file.exists() {
                folder::own(&servers)?;
                return read_public(file);
            }
        }
        if local {
            return Ok(self.server()?.public().clone());
        }
        Err(SecurityError::UnknownServer { host: host.to_owned(), port, expected: exact })
    }

    /// Makes a pair of keys called `name` in `folder`, for a program or a machine that is given its keys: writes
    /// `NAME.key_secret` (0600) and `NAME.key`, and returns their paths in this order.
    ///
    /// # Errors
    /// [`SecurityError::Name`] for a name that is no file name, [`SecurityError::Taken`] if the pair is there already,
    /// others if it cannot be written.
    pub fn make(name: &str, folder: &Path) -> Result<(PathBuf, PathBuf), SecurityError> {
        check_name(name)?;
        folder::own(folder)?;
        let (secret, public) = (folder.join(format!("{name}.key_secret")), folder.join(format!("{name}.key")));
        if let Some(path) = [&secret, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(SecurityError::Taken { path: path.clone() });
        }
        make_secret(&secret)?;
        let pair = read_secret(&secret)?;
        write(&public, &pair.public().to_certificate(), 0o644, false)?;
        Ok((secret, public))
    }

    /// Lets whoever holds the secret of the public key in `file` connect to servers of this user, under `name` or
    /// that of the file. Returns the name and the key. Servers that run notice within a moment. Only the public key is
    /// copied, whatever else is in the file.
    ///
    /// # Errors
    /// [`SecurityError`] if the file holds no public key, the name is no file name, or another key has the name.
    pub fn allow(&self, file: &Path, name: Option<&str>) -> Result<Allowed, SecurityError> {
        self.allow_only(file, name, None, None)
    }

    /// The same for some events. What is not given stays as it is filed, which is everything for a new key: to allow
    /// a key again never gives it more than was said.
    ///
    /// # Errors
    /// As [`allow`](Keys::allow).
    pub fn allow_only(
        &self,
        file: &Path,
        name: Option<&str>,
        emit: Option<Names>,
        register: Option<Names>,
    ) -> Result<Allowed, SecurityError> {
        let key = read_public(file)?;
        let name = name.or_else(|| file.file_stem().and_then(|stem| stem.to_str())).unwrap_or_default();
        check_name(name)?;
        let clients = self.clients_folder()?;
        folder::own(self.folder()?)?;
        folder::own(&clients)?;
        let filed = clients.join(format!("{name}.key"));
        let mut permission = Permission::default();
        if filed.symlink_metadata().is_ok()
            && let Ok(there) = read_public(&filed)
        {
            if there != key {
                return Err(SecurityError::Taken { path: filed });
            }
            permission = read_permission(&filed)?;
        }
        permission.emit = emit.unwrap_or(permission.emit);
        permission.register = register.unwrap_or(permission.register);
        write(&filed, &key.to_certificate_for(&permission), 0o644, true)?;
        Ok(Allowed { name: name.to_owned(), key, permission })
    }

    /// Takes the key called `name` away: servers of this user let it in no more, and end its connections. Returns under
    /// which other names the same key is still allowed: as long as there is one, it comes in.
    ///
    /// # Errors
    /// [`SecurityError::NotAllowed`] if there is none of this name.
    pub fn revoke(&self, name: &str) -> Result<Vec<String>, SecurityError> {
        check_name(name)?;
        let filed = self.clients_folder()?.join(format!("{name}.key"));
        let key = read_public(&filed).ok();
        match fs::remove_file(&filed) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let allowed = self.allowed()?.into_iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
                Err(SecurityError::NotAllowed { name: name.to_owned(), allowed })
            }
            removed => {
                removed.map_err(SecurityError::io("removing", &filed))?;
                let same = self.allowed()?.into_iter().filter(|other| Some(&other.key) == key.as_ref());
                Ok(same.map(|other| other.name).collect())
            }
        }
    }

    /// Who may connect to a server of this user, by name. A file that holds no key, or does not say clearly what it
    /// may do, lets nobody in, and keeps nobody else out.
    ///
    /// # Errors
    /// [`SecurityError`] if the folder cannot be read or others can change it.
    pub fn allowed(&self) -> Result<Vec<Allowed>, SecurityError> {
        let clients = self.clients_folder()?;
        let entries = match fs::read_dir(&clients) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(SecurityError::io("reading", &clients))?,
        };
        folder::own(&clients)?;
        let mut allowed = Vec::new();
        for file in entries.flatten().map(|entry| entry.path()) {
            if file.extension().is_none_or(|extension| extension != "key") {
                continue;
            }
            let Some(name) = file.file_stem().and_then(|name| name.to_str()) else { continue };
            let read = || Ok((read_public(&file)?, read_permission(&file)?));
            match read() {
                Ok((key, permission)) => allowed.push(Allowed { name: name.to_owned(), key, permission }),
                Err::<_, SecurityError>(error) => tracing::warn!(%error, "a client's key is ignored"),
            }
        }
        allowed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(allowed)
    }

    /// What each key may do that may connect.
    pub(crate) fn clients(&self) -> Result<HashMap<String, Permission>, SecurityError> {
        let mut clients = HashMap::new();
        for Allowed { key, permission, .. } in self.allowed()? {
            let known = clients.entry(key.as_str().to_owned()).or_insert_with(Permission::default);
            *known = known.and(&permission);
        }
        Ok(clients)
    }

    /// What tells one state of the folder of clients from another, and when it last changed.
    pub(crate) fn state_of_clients(&self) -> Result<(u64, SystemTime), SecurityError> {
        let clients = self.clients_folder()?;
        let state = || {
            let folder = fs::metadata(&clients)?;
            let (mut hasher, mut newest) = (DefaultHasher::new(), folder.modified()?);
            newest.hash(&mut hasher);
            let mut files: Vec<PathBuf> = fs::read_dir(&clients)?.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files {
                // One that goes meanwhile changes the folder.
                let Ok(found) = file.symlink_metadata() else { continue };
                let modified = found.modified()?;
                newest = newest.max(modified);
                (file, found.ino(), found.len(), modified).hash(&mut hasher);
            }
            io::Result::Ok((hasher.finish(), newest))
        };
        state().map_err(SecurityError::io("looking at", &clients))
    }

    /// The pair called `name`, which is made if there is none, and whether it was.
    fn pair(&self, name: &str) -> Result<(KeyPair, bool), SecurityError> {
        let keys = self.folder()?;
        folder::own(keys)?;
        let (secret, public) = (keys.join(format!("{name}.key_secret")), keys.join(format!("{name}.key")));
        let new = !secret.exists();
        if new {
            make_secret(&secret)?;
        }
        let pair = read_secret(&secret)?;
        if new || !public.exists() {
            write(&public, &pair.public().to_certificate(), 0o644, true)?;
        }
        Ok((pair, new))
    }
}

/// Two programs may do this at once; the file decides which key it is.
fn make_secret(file: &Path) -> Result<(), SecurityError> {
    let (public, made) = new_pair().map_err(SecurityError::io("making the key", file))?;
    let made = KeyPair::new(&public, &made);
    let made = made.ok_or(SecurityError::Certificate { path: file.to_owned(), why: "libzmq made none" })?;
    write(file, &made.to_certificate(), 0o600, false)
}

fn check_name(name: &str) -> Result<(), SecurityError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(SecurityError::Name { name: name.to_owned() });
    }
    Ok(())
}

fn read_public(file: &Path) -> Result<PublicKey, SecurityError> {
    let (text, _) = read(file)?;
    let why = "there is no `public-key = \"…\"` of 40 characters; copy the file again from where it was made";
    PublicKey::from_certificate(&text).ok_or(SecurityError::Certificate { path: file.to_owned(), why })
}

fn read_permission(file: &Path) -> Result<Permission, SecurityError> {
    let (text, _) = read(file)?;
    certificate::permission(&text).map_err(|source| SecurityError::Permission { path: file.to_owned(), source })
}

fn read_secret(file: &Path) -> Result<KeyPair, SecurityError> {
    let (text, found) = read(file)?;
    let refuse = |why| SecurityError::Unsafe { path: file.to_owned(), why };
    if found.uid() != effective_user() {
        return Err(refuse("it belongs to another user; remove it, and a new one is made"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(refuse(
            "other users can read this secret: `chmod 600` it if none has, or else remove it, and a new one is made",
        ));
    }
    let why = "there are no `public-key` and `secret-key` of 40 characters; remove it, and a new one is made";
    KeyPair::from_certificate(&text).ok_or(SecurityError::Certificate { path: file.to_owned(), why })
}

fn read(file: &Path) -> Result<(String, fs::Metadata), SecurityError> {
    let read = || {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(file)?;
        let found = open.metadata()?;
        let mut text = String::new();
        if found.is_file() {
            open.take(LARGEST).read_to_string(&mut text)?;
        }
        io::Result::Ok((text, found))
    };
    read().map_err(SecurityError::io("reading", file))
}

/// Writes a file whole, with its mode from the first moment. One that is there stays, unless `replace`.
fn write(file: &Path, text: &str, mode: u32, replace: bool) -> Result<(), SecurityError> {
    let fresh = temporary(file);
    let write = || {
        let mut open: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        if replace {
            return fs::rename(&fresh, file);
        }
        match fs::hard_link(&fresh, file) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    };
    let written = write().map_err(SecurityError::io("writing", file));
    let _ = fs::remove_file(&fresh);
    written
}

/// A name beside `path` that nobody else takes.
fn temporary(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

/// A new pair of CURVE keys, public and secret, in Z85.
fn new_pair() -> io::Result<(String, String)> {
    let pair = zmq::CurveKeyPair::new()?;
    let text = |key: &[u8; 32]| zmq::z85_encode(key).map_err(io::Error::other);
    Ok((text(&pair.public_key)?, text(&pair.secret_key)?))
}
