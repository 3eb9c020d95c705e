//! The functions that work on one default client.
//!
//! It connects when it is first used: to what [`configure`] said, else to `EVENTS_EMIT_ADDR` and
//! `EVENTS_REG_ADDR`, else to the server of this process ([`server::ensure_server`]), else to the
//! address programs of one user share. A forked child has no default client if its parent has used it: see [`Client`].

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::{
    Catalog, Client, ClientOptions, Connection, Error, Event, Lagged, On, Receive, Received, Registration, Subscription,
};
use events_core::addresses::default_addresses;
use events_core::engine::Addresses;

static DEFAULT: OnceLock<Client> = OnceLock::new();
static SETTINGS: Mutex<Settings> = Mutex::new(Settings { configured: None, served: None });

struct Settings {
    configured: Option<(Addresses, ClientOptions)>,
    /// Where a server of this process was ensured.
    served: Option<Addresses>,
}

fn settings() -> MutexGuard<'static, Settings> {
    SETTINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says where the default client connects and how it behaves. Call it before anything else.
///
/// # Errors
/// [`Error::AlreadyConfigured`] if the default client is in use already.
pub fn configure(emit_addr: &str, reg_addr: &str, options: ClientOptions) -> Result<(), Error> {
    let mut settings = settings();
    if DEFAULT.get().is_some() {
        return Err(Error::AlreadyConfigured);
    }
    settings.configured = Some((Addresses { emit: emit_addr.to_owned(), reg: reg_addr.to_owned() }, options));
    Ok(())
}

/// The default client.
///
/// # Errors
/// As [`Client::with_options`], the first time.
pub fn default_client() -> Result<&'static Client, Error> {
    if let Some(client) = DEFAULT.get() {
        return Ok(client);
    }
    let mut settings = settings();
    if let Some(client) = DEFAULT.get() {
        return Ok(client);
    }
    let from_environment = ["EVENTS_EMIT_ADDR", "EVENTS_REG_ADDR"].iter().any(|name| std::env::var_os(name).is_some());
    let (addresses, options) = match (settings.configured.take(), settings.served.clone()) {
        (Some(configured), _) => configured,
        (None, Some(served)) if !from_environment => (served, ClientOptions::default()),
        (None, _) => (default_addresses(), ClientOptions::default()),
    };
    let client = Client::with_options(&addresses.emit, &addresses.reg, options)?;
    Ok(DEFAULT.get_or_init(|| client))
}

/// Emits an event on the default client: see [`Client::emit`].
///
/// # Errors
/// As [`Client::emit`], and [`default_client`].
#[inline]
pub fn emit<E: Event>(event: E) -> Result<(), Error> {
    default_client()?.emit(event)
}

/// Emits an event if there is room at once: see [`Client::try_emit`].
///
/// # Errors
/// As [`Client::try_emit`], and [`default_client`].
pub fn try_emit<E: Event>(event: E) -> Result<(), Error> {
    default_client()?.try_emit(event)
}

/// Calls `handler` for each event `E` from now on: see [`Client::register`].
///
/// # Errors
/// As [`Client::register`], and [`default_client`].
pub fn register<E: Receive>(handler: impl FnMut(&Received<E>) + Send + 'static) -> Result<Registration, Error> {
    default_client()?.register(handler)
}

/// Begins a registration with a uid, for one event only, or in place of another: see [`Client::on`].
///
/// # Errors
/// As [`default_client`].
pub fn on<E: Receive>() -> Result<On<'static, E>, Error> {
    Ok(default_client()?.on())
}

/// Calls `handler` for each event of the catalog `A`: see [`Client::register_any`].
///
/// # Errors
/// As [`Client::register_any`], and [`default_client`].
pub fn register_any<A: Catalog>(handler: impl FnMut(&Received<A>) + Send + 'static) -> Result<Registration, Error> {
    default_client()?.register_any(handler)
}

/// Takes all handlers of the event `E` back.
///
/// # Errors
/// As [`default_client`].
pub fn unregister<E: Receive>() -> Result<(), Error> {
    default_client()?.unregister::<E>();
    Ok(())
}

/// Takes the handler of `E` with this uid back. Returns whether there was one.
///
/// # Errors
/// As [`default_client`].
pub fn unregister_uid<E: Receive>(uid: &str) -> Result<bool, Error> {
    Ok(default_client()?.unregister_uid::<E>(uid))
}

/// The events `E` as a stream, or one after the other: see [`Client::subscribe`].
///
/// # Errors
/// As [`Client::subscribe`], and [`default_client`].
pub fn subscribe<E: Receive + Send>() -> Result<Subscription<E>, Error> {
    default_client()?.subscribe()
}

/// Waits until the server has taken everything emitted before: see [`Client::flush`].
///
/// # Errors
/// As [`Client::flush`], and [`default_client`].
pub fn flush(limit: Duration) -> Result<(), Error> {
    default_client()?.flush(limit)
}

/// Calls `handler` with what was missed: see [`Client::on_gap`].
///
/// # Errors
/// As [`default_client`].
pub fn on_gap(handler: impl FnMut(&Lagged) + Send + 'static) -> Result<(), Error> {
    default_client()?.on_gap(handler);
    Ok(())
}

/// Calls `handler` when the connection to the server changes: see [`Client::on_connection`].
///
/// # Errors
/// As [`default_client`].
pub fn on_connection(handler: impl FnMut(Connection) + Send + 'static) -> Result<(), Error> {
    default_client()?.on_connection(handler);
    Ok(())
}

/// Turns the mechanism off or on: see [`Client::set_enabled`].
///
/// # Errors
/// As [`default_client`].
pub fn set_enabled(enabled: bool) -> Result<(), Error> {
    default_client()?.set_enabled(enabled);
    Ok(())
}

/// The server that redistributes events.
pub mod server {
    pub use events_core::server::{Role, Server, ServerGuard};

    use crate::Error;

    /// Sees to it that a server is there at these addresses: see
    /// [`events_core::server::ensure_server`]. The default client of this process uses it, unless it was
    /// told otherwise.
    ///
    /// # Errors
    /// As [`events_core::server::ensure_server`].
    pub fn ensure_server(emit_addr: &str, reg_addr: &str) -> Result<ServerGuard, Error> {
        let guard = events_core::server::ensure_server(emit_addr, reg_addr)?;
        super::settings().served = Some(guard.addresses());
        Ok(guard)
    }
}
