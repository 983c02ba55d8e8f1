//! The loads: which call comes next.
//!
//! | mix | calls | what the store holds |
//! |---|---|---|
//! | `get-hit` | gets of even choice | all that is asked for |
//! | `delete` | deletes of even choice; what was deleted is stored again in between, outside of the time taken | the same |
//! | `zipf` | 95 gets to 5 sets, Zipf 0.99 over twice what fits; before the rounds, what is missed is stored | what it kept |
//! | `set` | sets of keys that never came before | what it kept |
//!
//! **Invariants**: the calls of a round are a function of mix, round and sizes: every store gets the same.

use clap::ValueEnum;
use serde::Serialize;

use super::store::{Call, CallKind, KEY_BYTES, LoadKey};
use perf_basis::random::mixed;
use perf_basis::sizes::Sizes;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Zipf};

/// Exponent of the popular keys: what YCSB takes, and near what traces of caches show.
const ZIPF_EXPONENT: f64 = 0.99;

/// Of a hundred calls of the mix `zipf`.
const ZIPF_GETS: u64 = 95;

/// Keys of the mix `zipf`, in multiples of what fits.
const ZIPF_KEYS: u64 = 2;

/// A prime above any count of keys: its multiples meet every rank once before any comes again.
const STRIDE: u128 = 1_000_000_000_039;

/// Keys of the mix `set` start here, beyond those of any other mix.
const FRESH_KEYS: u64 = 1 << 40;

/// Bytes that an item takes of the product's cache beside key and value, reckoned generously, so that all that is to be
/// held is held.
const OVERHEAD_BYTES: f64 = 40.0;

/// Smallest items are reckoned as this large: the product's index is sized for items of 128 bytes or more.
const ITEM_BYTES_MIN: f64 = 200.0;

/// Share of the memory that `get-hit` fills.
const FILL: f64 = 0.9;

/// What is done to the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CallMix {
    /// Gets, all of which find their key
    GetHit,
    /// Deletes, all of which find their key
    Delete,
    /// 95 gets to 5 sets, Zipf 0.99 over twice what fits, with evictions
    Zipf,
    /// Sets of new keys, with evictions
    Set,
}

impl CallMix {
    /// What it is called on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::GetHit => "get-hit",
            Self::Delete => "delete",
            Self::Zipf => "zipf",
            Self::Set => "set",
        }
    }
}

/// How many keys there are, and how large their values.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// Of values.
    pub(crate) sizes: Sizes,
    /// Keys of `get-hit` and `delete`, all of which every store holds.
    pub(crate) held: u64,
    /// Keys that fit, weighed by key and value alone.
    pub(crate) fitting: u64,
}

impl Scale {
    /// What stores of `memory_bytes` are loaded with.
    pub(crate) fn of(memory_bytes: u64, sizes: Sizes) -> Self {
        let memory = memory_bytes as f64;
        let item_bytes = KEY_BYTES as f64 + sizes.mean();
        let held = memory * FILL / (item_bytes + OVERHEAD_BYTES).max(ITEM_BYTES_MIN);
        Self { sizes, held: (held as u64).max(1), fitting: ((memory / item_bytes) as u64).max(1) }
    }

    /// The memory with which `get-hit` works on this many bytes of keys and values.
    pub(crate) fn memory_for(working_set_bytes: u64, sizes: &Sizes) -> u64 {
        let item_bytes = KEY_BYTES as f64 + sizes.mean();
        let items = working_set_bytes as f64 / item_bytes;
        (items * (item_bytes + OVERHEAD_BYTES).max(ITEM_BYTES_MIN) / FILL) as u64
    }

    /// Bytes of keys and values that `get-hit` works on.
    pub(crate) fn working_set_bytes(&self) -> f64 {
        self.held as f64 * (KEY_BYTES as f64 + self.sizes.mean())
    }

    /// A call to the key of a number.
    #[inline]
    pub(crate) fn call(&self, verb: CallKind, number: u64) -> Call {
        // Not the sequence that the key is made of, so that keys and sizes have nothing to do with each other.
        Call { verb, key: key_of(number), value_bytes: self.sizes.of(mixed(!number)) }
    }

    /// The numbers of the keys with which a store is filled before a mix, in order.
    pub(crate) fn filling(&self, mix: CallMix) -> Box<dyn Iterator<Item = u64>> {
        match mix {
            CallMix::GetHit | CallMix::Delete => Box::new(0..self.held),
            // A little more than fits, so that every store evicts from here on; popular and unpopular keys in turn.
            CallMix::Zipf | CallMix::Set => {
                let keys = self.fitting * ZIPF_KEYS;
                Box::new(
                    (0..self.fitting * 5 / 4).map(move |turn| (u128::from(turn) * STRIDE % u128::from(keys)) as u64),
                )
            }
        }
    }
}

/// The calls of one round.
pub(crate) struct Calls<'a> {
    scale: &'a Scale,
    mix: CallMix,
    random: Xoshiro256PlusPlus,
    zipf: Zipf<f64>,
    fresh: u64,
}

impl<'a> Calls<'a> {
    /// Those of round `round`; in it, no store may be asked for more than 2^32.
    pub(crate) fn new(scale: &'a Scale, mix: CallMix, round: u64) -> Self {
        Self {
            scale,
            mix,
            random: Xoshiro256PlusPlus::seed_from_u64(round),
            zipf: Zipf::new((scale.fitting * ZIPF_KEYS).max(1) as f64, ZIPF_EXPONENT)
                .expect("there is a key, and the exponent is not negative"),
            fresh: FRESH_KEYS + (round << 32),
        }
    }

    /// How many calls bring a store into the state in which it stays.
    pub(crate) fn warm_up(&self, round_calls: u64) -> u64 {
        match self.mix {
            CallMix::Zipf => self.scale.fitting,
            CallMix::GetHit | CallMix::Delete | CallMix::Set => round_calls / 4,
        }
    }

    /// Makes the next `count` calls, in place of those in `batch`.
    pub(crate) fn next_batch(&mut self, batch: &mut Vec<Call>, count: usize) {
        batch.clear();
        for _ in 0..count {
            let (verb, number) = match self.mix {
                CallMix::GetHit => (CallKind::Get, self.random.random_range(0..self.scale.held)),
                CallMix::Delete => (CallKind::Delete, self.random.random_range(0..self.scale.held)),
                CallMix::Zipf => {
                    let verb = if self.random.random_range(0..100) < ZIPF_GETS { CallKind::Get } else { CallKind::Set };
                    (verb, self.zipf.sample(&mut self.random) as u64 - 1)
                }
                CallMix::Set => {
                    self.fresh += 1;
                    (CallKind::Set, self.fresh)
                }
            };
            batch.push(self.scale.call(verb, number));
        }
    }
}

/// The key of a number: written as a UUID.
#[inline]
pub(crate) fn key_of(number: u64) -> LoadKey {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let halves = [mixed(number), mixed(number ^ 0x5555_5555_5555_5555)];
    let mut key = [b'-'; KEY_BYTES];
    let mut nibble = 0;
    for (at, byte) in key.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            *byte = DIGITS[(halves[nibble / 16] >> (4 * (nibble % 16))) as usize & 15];
            nibble += 1;
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn scale() -> Scale {
        Scale::of(1 << 20, Sizes::Fixed(264))
    }

    #[test]
    fn keys_are_uuids_and_differ() {
        let keys: HashSet<LoadKey> = (0..10_000).map(key_of).collect();
        assert_eq!(keys.len(), 10_000);
        let text = String::from_utf8(key_of(7).to_vec()).unwrap();
        let lengths: Vec<_> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{text}");
    }

    #[test]
    fn a_round_repeats_and_the_next_differs() {
        let scale = scale();
        let keys = |mix, round| {
            let mut batch = Vec::new();
            Calls::new(&scale, mix, round).next_batch(&mut batch, 100);
            batch.iter().map(|call| call.key).collect::<Vec<_>>()
        };
        for mix in CallMix::value_variants() {
            assert_eq!(keys(*mix, 1), keys(*mix, 1));
            assert_ne!(keys(*mix, 1), keys(*mix, 2));
        }
    }

    #[test]
    fn the_mix_zipf_has_its_share_of_sets() {
        let scale = scale();
        let mut batch = Vec::new();
        Calls::new(&scale, CallMix::Zipf, 1).next_batch(&mut batch, 100_000);
        let sets = batch.iter().filter(|call| call.verb == CallKind::Set).count();
        assert!((4_700..5_300).contains(&sets), "{sets}");
    }

    #[test]
    fn memory_and_working_set_belong_together() {
        let sizes = Sizes::Fixed(264);
        let scale = Scale::of(Scale::memory_for(300_000_000, &sizes), sizes);
        assert!((scale.working_set_bytes() / 3e8 - 1.0).abs() < 1e-5, "{}", scale.working_set_bytes());
        assert!((999_990..=1_000_000).contains(&scale.held));
    }
}
