//! What computes: the library in production, and one that a seed decides for the simulator.
//!
//! | | production | seeded |
//! |---|---|---|
//! | random bytes | the system's | a counter through a mixing function |
//! | groups | X25519MLKEM768, X25519, P-256, P-384 | X25519 with private keys from the seed |
//! | signatures | SHA-2 only | the same; only Ed25519 signs without random numbers |
//! | suites, time | one list; a [`WallClock`] that is told | the same |
//!
//! **Not** a choice of the operator's: one list of suites and groups for everybody, of which the client's order decides.
//!
//! **Invariants**: two runs of one seed, in one thread each, give the same bytes on the wire. The seeded library protects
//! nothing: it is for the simulator and for tests.
//!
//! **Source**: RFC 8446 section 9.1, RFC 7748, draft-ietf-tls-ecdhe-mlkem; SplitMix64 (S. Vigna, 2015).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::agreement;
pub use rustls::KeyLog;
pub use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup};
pub use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{Error, NamedGroup, PeerMisbehaved, SupportedCipherSuite};

/// TLS 1.3, and of TLS 1.2 what has ECDHE and an AEAD. As a client, AES-128 first: it costs the least; as a server, the client's
/// order counts.
const SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The library that computes in production.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), kx_groups, ..default_provider() })
}

/// The library for the simulator: everything that is random comes from `seed`. What it keeps is never freed (about 40 bytes),
/// because rustls wants it for ever.
#[must_use]
pub fn seeded(seed: u64) -> Arc<CryptoProvider> {
    let random: &'static SeededRandom = Box::leak(Box::new(SeededRandom(AtomicU64::new(seed))));
    let group: &'static SeededX25519 = Box::leak(Box::new(SeededX25519(random)));
    Arc::new(CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        kx_groups: vec![group],
        secure_random: random,
        ..default_provider()
    })
}

/// Wall-clock time as handshakes see it: for the validity of certificates and the age of tickets. It is told, so that the simulator
/// decides it; until then it is 1970, and no certificate is valid.
#[derive(Debug, Default)]
pub struct WallClock(AtomicU64);

impl WallClock {
    /// What time it was told, in seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Says what time it is, in milliseconds since the Unix epoch. Cheap to call for every handshake, from any core: the memory is
    /// written once a second.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        let seconds = wall_ms / 1000;
        if self.0.load(Ordering::Relaxed) != seconds {
            self.0.store(seconds, Ordering::Relaxed);
        }
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

/// Random numbers that a seed decides: SplitMix64's counter, without a lock.
#[derive(Debug)]
struct SeededRandom(AtomicU64);

impl SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl SecureRandom for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// X25519 whose private keys come from a seed.
#[derive(Debug)]
struct SeededX25519(&'static SeededRandom);

impl SupportedKxGroup for SeededX25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut bytes = [0; 32];
        self.0.fill(&mut bytes)?;
        let private = agreement::PrivateKey::from_private_key(&agreement::X25519, &bytes)
            .map_err(|_| Error::FailedToGetRandomBytes)?;
        let public = private.compute_public_key().map_err(|_| Error::FailedToGetRandomBytes)?;
        Ok(Box::new(SeededExchange { private, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// One key exchange of [`SeededX25519`].
struct SeededExchange {
    private: agreement::PrivateKey,
    public: agreement::PublicKey,
}

impl ActiveKeyExchange for SeededExchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer);
        let refused = Error::from(PeerMisbehaved::InvalidKeyShare);
        agreement::agree(&self.private, peer, refused, |secret| Ok(SharedSecret::from(secret)))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::SecureRandom;
    use rustls::time_provider::TimeProvider;

    use super::{WallClock, provider, seeded};

    fn bytes_of(random: &dyn SecureRandom) -> [u8; 45] {
        let mut bytes = [0; 45];
        random.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_seed_decides_random_bytes_and_keys() {
        let [a, b, other] = [seeded(7), seeded(7), seeded(8)];
        assert_eq!(bytes_of(a.secure_random), bytes_of(b.secure_random));
        assert_ne!(bytes_of(other.secure_random), bytes_of(a.secure_random));
        bytes_of(b.secure_random);
        let [mine, same] = [&a, &b].map(|it| it.kx_groups[0].start().unwrap());
        assert_eq!(mine.pub_key(), same.pub_key());
        // The next key is another one, and agrees with the ordinary library's.
        let next = a.kx_groups[0].start().unwrap();
        assert_ne!(next.pub_key(), mine.pub_key());
        let ordinary = provider().kx_groups.iter().find(|it| it.name() == next.group()).unwrap().start().unwrap();
        let (next_public, ordinary_public) = (next.pub_key().to_vec(), ordinary.pub_key().to_vec());
        let secret = next.complete(&ordinary_public).unwrap();
        assert_eq!(secret.secret_bytes(), ordinary.complete(&next_public).unwrap().secret_bytes());
        assert!(mine.complete(&[0; 32]).is_err(), "a point of small order");
        assert!(same.complete(&[9; 31]).is_err(), "no point at all");
    }

    #[test]
    fn a_clock_says_what_it_was_told() {
        let clock = WallClock::default();
        assert_eq!(clock.current_time().unwrap().as_secs(), 0);
        clock.set_wall_ms(1_700_000_000_999);
        assert_eq!(clock.current_time().unwrap().as_secs(), 1_700_000_000);
    }
}
