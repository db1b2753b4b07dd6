//! With what is a release sealed?

use ring::hmac;
use std::fmt;

/// How many bytes a key has.
pub(crate) const LENGTH: usize = 32;

/// What the key's own mark is reckoned from.
const MARK: &[u8] = b"tautline.dev/release key mark";

/// The key that releases are sealed with (HMAC-SHA256, RFC 2104). It never shows itself.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// How many bytes a key has.
    pub const LENGTH: usize = LENGTH;

    /// Takes a key of exactly [`Key::LENGTH`] bytes; `None` for any other length.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == LENGTH).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// Seals a text.
    pub(crate) fn seal(&self, text: &[u8]) -> Vec<u8> {
        hmac::sign(&self.0, text).as_ref().to_vec()
    }

    /// Returns whether the seal is this key's on this text. It takes as long for a wrong one as for a right one.
    pub(crate) fn verifies(&self, text: &[u8], seal: &[u8]) -> bool {
        hmac::verify(&self.0, text, seal).is_ok()
    }

    /// Returns what tells this key from others and gives nothing of it away: people read why a release does not match.
    pub(crate) fn mark(&self) -> String {
        model::digest(&self.seal(MARK)).short(16)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_length_and_shows_nothing() {
        for length in [0, 31, 33, 64] {
            assert!(Key::new(&vec![7; length]).is_none(), "{length}");
        }
        let key = Key::new(&[0x41; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(***)");
        assert!(!key.mark().contains("41414141"));
        assert_ne!(key.mark(), Key::new(&[0x42; 32]).unwrap().mark());
    }

    #[test]
    fn a_seal_holds_for_its_text_and_its_key() {
        let key = Key::new(&[1; 32]).unwrap();
        let seal = key.seal(b"text");
        assert!(key.verifies(b"text", &seal));
        assert!(!key.verifies(b"texts", &seal));
        assert!(!key.verifies(b"text", &seal[..31]));
        assert!(!key.verifies(b"text", b""));
        assert!(!Key::new(&[2; 32]).unwrap().verifies(b"text", &seal));
    }
}
