//! The keyed hash of a stored key, and which of its bits serve what.
//!
//! ```text
//!  place hash (of the hash tag if there is one, else of the whole stored key)
//!
//!   63        50 49                              18 17          0
//!  ├────────────┼──────────────────────────────────┼─────────────┤
//!  │ slot (14)  │ core: 32 bits, multiply-shift    │ spare (18)  │
//!  └────────────┴──────────────────────────────────┴─────────────┘
//!
//!  index hash (of the whole stored key, tag or not) = remix(hash)
//!
//!   63                                                          0
//!  ├─────────────────────────────────────────────────────────────┤
//!  │ the engine's: bucket, page and tag, in whatever split it has │
//!  └─────────────────────────────────────────────────────────────┘
//! ```
//!
//! Slot and core use disjoint bits, so that one slot spreads over all cores of its node. The index hash is a bijective
//! re-mix: the keys of one shard share their slot and core bits, and without the re-mix the index would see them as a
//! fraction of its range. Keys with the same hash tag share the place hash but not the index hash, else they would all fall
//! into one bucket.
//!
//! **Not**: a cryptographic hash. The seed keeps a client that does not know it from choosing colliding keys.
//!
//! **Invariants**: the output is stable: golden values in the tests; a change is a new hash id in HELLO.
//!
//! **Source**: rapidhash V3 with secrets derived from the seed; Lemire, "Fast random integer generation in an interval";
//! the finaliser of MurmurHash3 (`fmix64`) for the re-mix.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_inline};

use super::slot::{SLOT_BITS, ShardId, SlotId};

/// The id under which HELLO names this hash function, secrets and bit layout together.
pub const HASH_ID_RAPIDHASH_V3: u8 = 1;

/// Bits of the place hash that choose the core: those just below the slot's.
const CORE_BITS: u32 = 32;

const _: () = assert!(SLOT_BITS + CORE_BITS <= u64::BITS, "slot and core bits are disjoint");

/// The hash function of one cluster: rapidhash V3 keyed by the cluster's seed.
///
/// Cheap to use (about 5 ns for a 36-byte key), not to build: make one per process and copy it to every core.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: u64,
    secrets: RapidSecrets,
}

impl KeyHasher {
    /// The hash function for a cluster's seed; any value is allowed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Secrets derived from the seed, not only a seed: rapidhash with public secrets has collisions that hold for
        // every seed.
        Self { seed, secrets: RapidSecrets::seed(seed) }
    }

    /// The seed this function was made with; HELLO compares it.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Hashes a stored key for placement and for the engine's index.
    #[inline]
    #[must_use]
    pub fn hash(&self, stored_key: &[u8]) -> KeyHash {
        let whole = self.raw(stored_key);
        match hash_tag(stored_key) {
            None => KeyHash { place: whole, index: remix(whole) },
            Some(tag) => KeyHash { place: self.raw(tag), index: remix(whole) },
        }
    }

    /// [`KeyHasher::hash`] of a stored key that is known to hold no `{`, and so no hash tag: spares looking for one.
    #[inline]
    #[must_use]
    pub fn hash_untagged(&self, stored_key: &[u8]) -> KeyHash {
        debug_assert!(hash_tag(stored_key).is_none(), "a key with a tag is hashed by its tag");
        let whole = self.raw(stored_key);
        KeyHash { place: whole, index: remix(whole) }
    }

    #[inline]
    fn raw(&self, bytes: &[u8]) -> u64 {
        rapidhash_v3_inline::<true, false, false>(bytes, &self.secrets)
    }
}

/// The two 64-bit hashes of a stored key; see the module's tables for their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash {
    place: u64,
    index: u64,
}

impl KeyHash {
    /// The slot that holds the key.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> SlotId {
        SlotId::of_hash(self.place)
    }

    /// The shard of a process with `cores` data cores that holds the key.
    ///
    /// # Panics
    ///
    /// When `cores` is 0: a process without data cores holds no key.
    #[inline]
    #[must_use]
    pub const fn shard(self, cores: u16) -> ShardId {
        assert!(cores > 0, "a process has at least one data core");
        let bits = (self.place << SLOT_BITS) >> (u64::BITS - CORE_BITS);
        ShardId(((bits * cores as u64) >> CORE_BITS) as u16)
    }

    /// The hash by which the engine indexes the key: all 64 bits are usable and independent of slot and core.
    #[inline]
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// The hash that slot and core are taken from.
    #[inline]
    #[must_use]
    pub const fn place(self) -> u64 {
        self.place
    }
}

/// The hash tag of a key: what lies between the first `{` and the first `}` after it, when that is not empty.
///
/// Keys with the same tag lie in the same slot and on the same core. Keyspace names cannot contain braces, so the rule
/// reads the same on a stored key as on a user's key.
#[inline]
#[must_use]
pub fn hash_tag(stored_key: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'{', stored_key)?;
    let rest = &stored_key[open + 1..];
    match memchr::memchr(b'}', rest) {
        None | Some(0) => None,
        Some(close) => Some(&rest[..close]),
    }
}

/// A bijection of 64 bits in which every input bit changes every output bit with probability about one half.
#[inline]
const fn remix(hash: u64) -> u64 {
    let mut h = hash;
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
