//! The host key of a machine, pinned from the first contact.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// A host key, known by its SHA-256 fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostKey([u8; 32]);

impl HostKey {
    /// The key with this SHA-256 digest of its wire form.
    #[must_use]
    pub fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for HostKey {
    /// As `ssh-keygen -l` shows it: `SHA256:…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ssh_key::Fingerprint::Sha256(self.0).fmt(f)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The host key that a machine must show, once it has shown one.
///
/// Clones share the pin. It outlives reboots on purpose: a guest keeps its host keys. A scenario that expects new keys
/// (a reset to factory state) makes a new pin.
#[derive(Clone, Debug, Default)]
pub struct HostKeyPin {
    key: Arc<Mutex<Option<HostKey>>>,
}

impl HostKeyPin {
    /// The key seen at the first contact, if there was one.
    #[must_use]
    pub fn current(&self) -> Option<HostKey> {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins `found` if nothing is pinned yet.
    ///
    /// # Errors
    /// The pinned key, if it is another one.
    pub fn check(&self, found: HostKey) -> Result<(), HostKey> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = *key.get_or_insert(found);
        if pinned == found { Ok(()) } else { Err(pinned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_pinned_for_all_clones() {
        let pin = HostKeyPin::default();
        assert_eq!(pin.current(), None);
        let (first, second) = (HostKey::from_sha256([1; 32]), HostKey::from_sha256([2; 32]));
        assert_eq!(pin.clone().check(first), Ok(()));
        assert_eq!(pin.check(second), Err(first));
        assert_eq!(pin.current(), Some(first));
        assert_eq!(first.to_string(), "SHA256:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE");
    }
}
