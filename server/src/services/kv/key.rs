//! From the key in a request's target to the stored key.
//!
//! **Not** allocating: keys lie in the service's scratch.
//!
//! **Invariants**: two targets name one item if and only if they decode to the same keyspace and key.

use corelane_http::Status;
use corelane_http::problem::Problem;
use corelane_http::request::RequestHead;
use corelane_http::target::{DecodeError, percent_decode};
use shardstore::key::{KEY_BYTES_MAX, KeyHash, StoredKey};

use super::KvService;
use super::plan::Key;
use super::scratch::Scratch;

/// How a key is written in a request's target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyEncoding {
    /// As it is, and it holds no brace.
    Plain,
    /// Perhaps percent-encoded.
    Percent,
}

impl KeyEncoding {
    #[inline]
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        if head.target_is_plain() { KeyEncoding::Plain } else { KeyEncoding::Percent }
    }
}

impl KvService {
    /// Puts the stored form of a key into the scratch and hashes it.
    ///
    /// # Errors
    /// The client's: no such keyspace, or no such key.
    #[inline]
    pub(super) fn stored_key(
        &self,
        keyspace: &[u8],
        raw_key: &[u8],
        encoding: KeyEncoding,
    ) -> Result<KeyHash, Problem<'static>> {
        if !self.snapshot.get().keyspaces.contains(keyspace) {
            return Err(UNKNOWN_KEYSPACE);
        }
        let Scratch { key, decoded } = &mut *self.scratch.borrow_mut();
        let user_key = match encoding {
            KeyEncoding::Plain if raw_key.len() <= KEY_BYTES_MAX => raw_key,
            _ => percent_decode(raw_key, decoded, KEY_BYTES_MAX).map_err(|error| match error {
                DecodeError::Percent => BAD_KEY,
                DecodeError::TooLong => LONG_KEY,
            })?,
        };
        key.clear();
        // The keyspace exists and the key is bounded: only an empty key is left to be refused.
        StoredKey::encode(keyspace, user_key, key).map_err(|_| BAD_KEY)?;
        Ok(match encoding {
            KeyEncoding::Plain => self.store.hash_untagged(key),
            KeyEncoding::Percent => self.store.hash(key),
        })
    }

    /// The stored key in the scratch, for longer than this poll.
    pub(super) fn key(&self, keyspace: &[u8], hash: KeyHash) -> Key {
        let policy = self.snapshot.get().keyspaces.policy(keyspace).expect("found in this keyspace, in the same poll");
        Key { stored: self.scratch.borrow().key.as_slice().into(), hash, policy }
    }
}

const UNKNOWN_KEYSPACE: Problem<'static> = Problem {
    limit: None,
    status: Status::NotFound,
    slug: "unknown-keyspace",
    detail: "there is no such keyspace; keyspaces are declared in the configuration as [keyspace.NAME]",
};

const BAD_KEY: Problem<'static> = Problem {
    limit: None,
    status: Status::BadRequest,
    slug: "bad-key",
    detail: "a key is 1 to 4096 bytes, percent-encoded where it must be",
};

const LONG_KEY: Problem<'static> =
    Problem { limit: None, status: Status::UriTooLong, slug: "key-too-long", detail: "a key has at most 4096 bytes" };
