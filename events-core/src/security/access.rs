//! Who may connect over tcp: from where, and with whose keys.

use std::net::IpAddr;
use std::str::FromStr;

use super::Keys;

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
