//! Keys, and the files they are in: the format of pyzmq's certificates.
//!
//! ```text
//! # comments
//! metadata
//!     emit = "MAIL_*, CLIENT_UID"     in the folder `clients`: what its holder may emit
//!     register = "MAIL_*"             and what it may register for; without them, everything
//! curve
//!     public-key = "40 characters of Z85"
//!     secret-key = "40 more, in .key_secret files only"
//! ```

use std::fmt;

use crate::permission::{Names, NotAPattern, Permission};

const ALPHABET: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// A public key, 40 characters of Z85.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(String);

impl PublicKey {
    /// Reads 40 characters of Z85.
    pub fn parse(text: &str) -> Option<PublicKey> {
        is_key(text).then(|| PublicKey(text.to_owned()))
    }

    /// The 40 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first public key in the text of a certificate.
    pub(super) fn from_certificate(text: &str) -> Option<PublicKey> {
        PublicKey::parse(field(text, "public-key")?)
    }

    pub(super) fn to_certificate(&self) -> String {
        self.to_certificate_for(&Permission::default())
    }

    /// With what its holder may do.
    pub(super) fn to_certificate_for(&self, permission: &Permission) -> String {
        let line = |what: &str, names: &Names| match names {
            Names::All => String::new(),
            Names::Only(_) => format!("    {what} = \"{names}\"\n"),
        };
        format!(
            "#   ZeroMQ CURVE public certificate, made by events.\n\
             #   Exchange it over a channel that nobody can change.\n\n\
             metadata\n{}{}curve\n    public-key = \"{}\"\n",
            line("emit", &permission.emit),
            line("register", &permission.register),
            self.0
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key and the secret that goes with it, which `Debug` does not show.
#[derive(Clone)]
pub struct KeyPair {
    public: PublicKey,
    secret: String,
}

impl KeyPair {
    pub(super) fn new(public: &str, secret: &str) -> Option<KeyPair> {
        Some(KeyPair { public: PublicKey::parse(public)?, secret: is_key(secret).then(|| secret.to_owned())? })
    }

    /// The half that others may know.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn from_certificate(text: &str) -> Option<KeyPair> {
        KeyPair::new(field(text, "public-key")?, field(text, "secret-key")?)
    }

    pub(super) fn to_certificate(&self) -> String {
        format!(
            "#   ZeroMQ CURVE **secret** certificate, made by events.\n\
             #   DO NOT PROVIDE THIS FILE TO OTHER USERS.\n\n\
             metadata\ncurve\n    public-key = \"{}\"\n    secret-key = \"{}\"\n",
            self.public, self.secret
        )
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).field("secret", &"<secret>").finish()
    }
}

/// What the holder of a filed key may do.
pub(super) fn permission(text: &str) -> Result<Permission, NotAPattern> {
    let names = |what| field(text, what).map_or(Ok(Names::All), str::parse);
    Ok(Permission { emit: names("emit")?, register: names("register")? })
}

/// The value of `name = "value"`, as pyzmq finds it: in whichever section.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='))?;
    Some(value.trim_matches([' ', '\t', '"', '\'']))
}

fn is_key(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// 32 bytes as 40 characters. (Decoding is libzmq's.)
pub(crate) fn z85(key: &[u8; 32]) -> String {
    let mut text = String::with_capacity(40);
    for four in key.chunks_exact(4) {
        let number = four.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        for power in [85u32.pow(4), 85u32.pow(3), 85u32.pow(2), 85, 1] {
            text.push(char::from(ALPHABET[(number / power % 85) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's key in the documentation of CURVE, in both forms.
    const RAW: [u8; 32] = [
        0x54, 0xFC, 0xBA, 0x24, 0xE9, 0x32, 0x49, 0x96, 0x93, 0x16, 0xFB, 0x61, 0x7C, 0x87, 0x2B, 0xB0, 0xC1, 0xD1,
        0xFF, 0x14, 0x80, 0x04, 0x27, 0xC5, 0x94, 0xCB, 0xFA, 0xCF, 0x1B, 0xC2, 0xD6, 0x52,
    ];
    const TEXT: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

    #[test]
    fn z85_is_that_of_the_standard() {
        assert_eq!(z85(&RAW), TEXT);
    }

    #[test]
    fn certificates_are_read_as_they_are_written() {
        let secret = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
        let pair = KeyPair::new(TEXT, secret).expect("two keys");
        let read = KeyPair::from_certificate(&pair.to_certificate()).expect("a certificate");
        assert_eq!((read.public().as_str(), read.secret()), (TEXT, secret));
        assert_eq!(PublicKey::from_certificate(&pair.public().to_certificate()).as_ref(), Some(pair.public()));
        assert!(!format!("{pair:?}").contains(secret));
        assert!(KeyPair::from_certificate(&pair.public().to_certificate()).is_none());
    }

    #[test]
    fn pyzmqs_certificates_are_read() {
        let text = "#   ****  Generated on 2026-11-22 22:15:39.220975 by pyzmq  ****\n\
                    #   ZeroMQ CURVE **Secret** Certificate\n\
                    #   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.\n\
                    \nmetadata\ncurve\n    \
                    public-key = \"Yh[{.S<!2PzwxX8D>yD>Wte.mETk2fDsd&4AC8{Q\"\n    \
                    secret-key = \"fzvM)VxaaE6cC5LDw5A$4aU:F!)-0n*s-6-/7+9Y\"\n";
        let pair = KeyPair::from_certificate(text).expect("a certificate");
        assert_eq!(pair.public().as_str(), "Yh[{.S<!2PzwxX8D>yD>Wte.mETk2fDsd&4AC8{Q");
        assert_eq!(pair.secret(), "fzvM)VxaaE6cC5LDw5A$4aU:F!)-0n*s-6-/7+9Y");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "short", &TEXT[1..], &TEXT.replace('r', " "), &TEXT.replace('r', "\""), &format!("{TEXT}0")] {
            assert!(PublicKey::parse(text).is_none(), "{text}");
            assert!(PublicKey::from_certificate(&format!("curve\n    public-key = \"{text}\"\n")).is_none(), "{text}");
        }
        for text in ["", "curve", "public-key", "# public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\""] {
            assert!(PublicKey::from_certificate(text).is_none(), "{text}");
        }
    }
}
