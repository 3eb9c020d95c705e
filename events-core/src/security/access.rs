//! Decides about one connection: its address, and its key.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use super::{Keys, SecurityError};
use crate::permission::{Names, Permission};

/// How often the files are looked at, and not the folder alone.
const LOOK: Duration = Duration::from_millis(200);

/// Who may connect to a server over tcp: whose key is in the folder, from where.
#[derive(Clone, Debug)]
pub struct Access {
    keys: Keys,
    from: Vec<AddressRange>,
}

impl Access {
    /// Clients on this machine whose key is among `keys`.
    pub fn new(keys: Keys) -> Access {
        Access { keys, from: vec![AddressRange::new([127, 0, 0, 0].into(), 8), AddressRange::new(LOOPBACK_6, 128)] }
    }

    /// From these addresses too.
    #[must_use]
    pub fn and_from(mut self, addresses: impl IntoIterator<Item = AddressRange>) -> Access {
        self.from.extend(addresses);
        self
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.from.iter().any(|range| range.contains(address))
    }
}

const LOOPBACK_6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// Addresses that begin with the same bits: `192.168.0.0/16`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    address: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// Those whose first `bits` are those of `address`.
    pub fn new(address: IpAddr, bits: u8) -> AddressRange {
        AddressRange { address, bits }
    }

    fn contains(self, other: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let rest = width.saturating_sub(u32::from(self.bits));
            a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
        };
        match (self.address.to_canonical(), other.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<AddressRange, String> {
        let form = || format!("`{text}` is no address; write `192.168.1.7` or `192.168.0.0/16`");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| form())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        match bits.unwrap_or(most) {
            bits if bits <= most => Ok(AddressRange::new(address, bits)),
            _ => Err(form()),
        }
    }
}

/// The keys that may connect, read again whenever the folder has changed.
pub(crate) struct Admitted {
    keys: Keys,
    clients: HashMap<String, Permission>,
    /// The state the folder was in when it was read.
    read: Option<u64>,
    /// When the folder was last looked at.
    looked: Option<Instant>,
    /// When the folder itself had last changed by then: a name came or went.
    changed: Option<SystemTime>,
}

/// What happened to the keys that may connect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// One of them was taken away.
    pub(crate) lost: bool,
}

impl Admitted {
    pub(crate) fn new(keys: Keys) -> Admitted {
        Admitted { keys, clients: HashMap::new(), read: None, looked: None, changed: None }
    }

    /// Whether `key` may connect.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.clients.contains_key(key)
    }

    /// Whether there is a key that may not register for everything.
    pub(crate) fn restricts_hearing(&self) -> bool {
        self.clients.values().any(|permission| permission.register != Names::All)
    }

    /// What the holder of `key` may do.
    pub(crate) fn permission(&self, key: &str) -> Option<&Permission> {
        self.clients.get(key)
    }

    /// Reads the keys again if the folder has changed, and says whether they have.
    pub(crate) fn refresh(&mut self) -> Result<Option<Change>, SecurityError> {
        let folder = self.keys.clients_folder()?;
        let changed = std::fs::metadata(&folder).and_then(|folder| folder.modified()).ok();
        let fresh = self.looked.is_some_and(|at| at.elapsed() < LOOK);
        if fresh && changed.is_some() && changed == self.changed && self.read.is_some() {
            return Ok(None);
        }
        self.looked = Some(Instant::now());
        self.changed = changed;
        // A folder that cannot be looked at is read, which says why.
        let state = self.keys.state_of_clients().ok();
        if state.is_some_and(|(state, _)| Some(state) == self.read) {
            return Ok(None);
        }
        let clients = self.keys.clients()?;
        let lost = self.clients.keys().any(|key| !clients.contains_key(key));
        let change = (clients != self.clients).then_some(Change { lost });
        self.clients = clients;
        // Clocks of file systems tick slowly: a second change may carry the time of the first. So a
        // state counts only when it lies behind us.
        let settled = |at: SystemTime| at.elapsed().is_ok_and(|age| age > Duration::from_millis(100));
        self.read = state.filter(|&(_, newest)| settled(newest)).map(|(state, _)| state);
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_begins_alike() {
        for (range, inside, outside) in [
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.6"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "11.0.0.0"),
        ] {
            let range: AddressRange = range.parse().expect("a range");
            assert!(range.contains(inside.parse().expect("an address")), "{range:?} {inside}");
            assert!(!range.contains(outside.parse().expect("an address")), "{range:?} {outside}");
        }
        for wrong in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "10.0.0.0/-1"] {
            assert!(wrong.parse::<AddressRange>().is_err(), "{wrong}");
        }
        let access = Access::new(Keys::at("/nowhere")).and_from(["10.0.0.0/8".parse().expect("a range")]);
        for (address, allowed) in [("127.1.2.3", true), ("::1", true), ("10.9.9.9", true), ("11.0.0.1", false)] {
            assert_eq!(access.allows(address.parse().expect("an address")), allowed, "{address}");
        }
    }
}
