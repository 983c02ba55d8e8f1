//! The stored key: one injective representation of (keyspace, key) on the wire and in the engine.
//!
//! ```text
//!  ┌──────────────────────┬───────────────────┬──────────────────────┐
//!  │ name length (1 byte) │ keyspace name     │ user's key           │
//!  │ 0..=63; 0 = default  │ [a-z0-9_-]        │ 1..=4096 bytes, any  │
//!  └──────────────────────┴───────────────────┴──────────────────────┘
//! ```
//!
//! **Not**: allocation; encoding goes into a caller's buffer or into [`StoredKeyBuffer`] on the stack.
//!
//! **Invariants**: `default` is always written as length 0, never by name, so that encoding is injective both ways.
//!
//! **Source**: docs/adr/0002-stored-key.md.

use thiserror::Error;

/// Longest keyspace name in bytes; the length byte keeps two bits spare for a later format.
pub const KEYSPACE_NAME_BYTES_MAX: usize = 63;

/// Longest user's key in bytes, as the HTTP API promises.
pub const KEY_BYTES_MAX: usize = 4096;

/// Longest stored key in bytes: length byte, longest name, longest key.
pub const STORED_KEY_BYTES_MAX: usize = 1 + KEYSPACE_NAME_BYTES_MAX + KEY_BYTES_MAX;

const _: () = assert!(STORED_KEY_BYTES_MAX == 4096 + 64);
const _: () = assert!(STORED_KEY_BYTES_MAX <= u16::MAX as usize, "the wire and the item header carry 16 bits");

/// The keyspace that always exists; it is written as an empty name.
const DEFAULT_NAME: &[u8] = b"default";

/// Why a (keyspace, key) pair or a stored key is not valid. The client or the peer that sent it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The user's key is empty.
    #[error("the key is empty; a key has 1 to 4096 bytes")]
    KeyEmpty,
    /// The user's key is longer than [`KEY_BYTES_MAX`].
    #[error("the key has {0} bytes; a key has 1 to 4096 bytes")]
    KeyTooLong(usize),
    /// The keyspace's name is empty, too long, or has a character outside `[a-z0-9_-]`.
    #[error("the keyspace name is not 1 to 63 characters of a-z, 0-9, '_' and '-'")]
    KeyspaceName,
    /// The stored key ends before its keyspace's name does.
    #[error("the stored key is shorter than its keyspace name says")]
    Truncated,
    /// The stored key spells `default` instead of leaving the name empty.
    #[error("the default keyspace must be written with an empty name")]
    DefaultSpelled,
}

/// Whether `name` may name a keyspace: 1 to 63 characters of `[a-z0-9_-]`.
#[inline]
#[must_use]
pub fn is_keyspace_name(name: &[u8]) -> bool {
    let length_ok = (1..=KEYSPACE_NAME_BYTES_MAX).contains(&name.len());
    length_ok && name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// A stored key taken apart; borrows from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredKey<'a> {
    /// The keyspace's name; `default` for the default keyspace.
    pub keyspace: &'a [u8],
    /// The user's key, 1 to [`KEY_BYTES_MAX`] bytes.
    pub key: &'a [u8],
}

impl<'a> StoredKey<'a> {
    /// Splits a stored key that came from a peer or from the engine.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the bytes are not what [`StoredKey::encode`] writes; the peer is at fault.
    #[inline]
    pub fn split(stored: &'a [u8]) -> Result<Self, KeyError> {
        let (&name_bytes, rest) = stored.split_first().ok_or(KeyError::Truncated)?;
        let (name, key) = rest.split_at_checked(usize::from(name_bytes)).ok_or(KeyError::Truncated)?;
        check_key(key)?;
        if name.is_empty() {
            return Ok(Self { keyspace: DEFAULT_NAME, key });
        }
        if name == DEFAULT_NAME {
            return Err(KeyError::DefaultSpelled);
        }
        if !is_keyspace_name(name) {
            return Err(KeyError::KeyspaceName);
        }
        Ok(Self { keyspace: name, key })
    }

    /// Appends the stored form of (`keyspace`, `key`) to `out`; allocates only when `out` has no room.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when a part is out of its range; then nothing was appended. The client is at fault.
    #[inline]
    pub fn encode(keyspace: &[u8], key: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
        let name = checked_name(keyspace)?;
        check_key(key)?;
        out.push(name.len() as u8);
        out.extend_from_slice(name);
        out.extend_from_slice(key);
        Ok(())
    }
}

/// A stored key on the stack, for callers that have no buffer of their own.
#[derive(Clone, Debug)]
pub struct StoredKeyBuffer {
    length: u16,
    bytes: [u8; STORED_KEY_BYTES_MAX],
}

impl StoredKeyBuffer {
    /// An empty buffer; fill it with [`StoredKeyBuffer::set`] before use.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { length: 0, bytes: [0; STORED_KEY_BYTES_MAX] }
    }

    /// Replaces the content by the stored form of (`keyspace`, `key`) and returns it.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when a part is out of its range; then the buffer is unchanged. The client is at fault.
    #[inline]
    pub fn set(&mut self, keyspace: &[u8], key: &[u8]) -> Result<&[u8], KeyError> {
        let name = checked_name(keyspace)?;
        check_key(key)?;
        let key_at = 1 + name.len();
        let end = key_at + key.len();
        self.bytes[0] = name.len() as u8;
        self.bytes[1..key_at].copy_from_slice(name);
        self.bytes[key_at..end].copy_from_slice(key);
        self.length = end as u16;
        Ok(&self.bytes[..end])
    }

    /// The stored key; empty when none was set.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Default for StoredKeyBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The name as it is written: empty for the default keyspace.
#[inline]
fn checked_name(keyspace: &[u8]) -> Result<&[u8], KeyError> {
    if keyspace == DEFAULT_NAME {
        return Ok(&[]);
    }
    if is_keyspace_name(keyspace) { Ok(keyspace) } else { Err(KeyError::KeyspaceName) }
}

#[inline]
const fn check_key(key: &[u8]) -> Result<(), KeyError> {
    if key.is_empty() {
        return Err(KeyError::KeyEmpty);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(KeyError::KeyTooLong(key.len()));
    }
    Ok(())
}
