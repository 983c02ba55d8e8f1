//! What is replayed against: an engine, and how much it may hold.
//!
//! **Invariants**: an engine never holds more than its capacity; what is larger than all of it is never held.

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::belady::Belady;
use super::fit::Fits;
use super::one_queue::{OnHit, OneQueue};
use super::s3fifo::S3Fifo;
use super::shardstore::{Details, ShardstoreEngine};
use super::sieve::Sieve;
use perf_basis::trace::{KEY_BYTES, Trace, TraceRequest};

/// The engines by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The product's cache
    Shardstore,
    /// S3-FIFO, by object
    #[value(name = "s3fifo")]
    S3Fifo,
    /// Least recently used, by object
    Lru,
    /// SIEVE, by object
    Sieve,
    /// The offline optimum (with sizes that differ: near it)
    Belady,
    /// First in, first out, by object
    Fifo,
}

impl Kind {
    /// What it is called on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shardstore => "shardstore",
            Self::S3Fifo => "s3fifo",
            Self::Lru => "lru",
            Self::Sieve => "sieve",
            Self::Belady => "belady",
            Self::Fifo => "fifo",
        }
    }

    /// An empty engine for a trace.
    ///
    /// # Errors
    /// The product's cache cannot be made this small or this large.
    pub(crate) fn make(self, capacity: Capacity, trace: &Trace, fits: &mut Fits) -> Result<Box<dyn Engine>> {
        let unique = trace.unique();
        Ok(match self {
            Self::Shardstore => Box::new(ShardstoreEngine::new(capacity, fits)?),
            Self::S3Fifo => Box::new(S3Fifo::new(capacity, unique)),
            Self::Lru => Box::new(OneQueue::new(OnHit::Renews, capacity, unique)),
            Self::Sieve => Box::new(Sieve::new(capacity, unique)),
            Self::Belady => Box::new(Belady::new(capacity, unique, trace.next_uses())),
            Self::Fifo => Box::new(OneQueue::new(OnHit::Stays, capacity, unique)),
        })
    }
}

/// How much an engine may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// A count of objects, whatever their size.
    Objects(u64),
    /// Bytes: of keys and values for a reference engine, of memory for the product's cache.
    Bytes(u64),
}

impl Capacity {
    /// The number alone.
    pub(crate) const fn amount(self) -> u64 {
        match self {
            Self::Objects(amount) | Self::Bytes(amount) => amount,
        }
    }

    /// The same unit, another amount.
    pub(crate) const fn with(self, amount: u64) -> Self {
        match self {
            Self::Objects(_) => Self::Objects(amount),
            Self::Bytes(_) => Self::Bytes(amount),
        }
    }

    /// What the amount counts.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Objects(_) => "objects",
            Self::Bytes(_) => "bytes",
        }
    }

    /// How much of it what is held takes.
    pub(crate) const fn weight(self, held: Held) -> u64 {
        match self {
            Self::Objects(_) => held.objects,
            Self::Bytes(_) => held.bytes,
        }
    }

    /// How much of it one object of `bytes` takes.
    pub(crate) const fn weight_of(self, bytes: u32) -> u64 {
        self.weight(Held { objects: 1, bytes: bytes as u64 })
    }
}

/// What an engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Count of objects.
    pub(crate) objects: u64,
    /// Of keys and values; in the product's cache of whole records.
    pub(crate) bytes: u64,
}

impl Held {
    /// One object more.
    pub(crate) const fn add(&mut self, bytes: u32) {
        self.objects += 1;
        self.bytes += bytes as u64;
    }

    /// One object less.
    pub(crate) const fn subtract(&mut self, bytes: u32) {
        self.objects -= 1;
        self.bytes -= bytes as u64;
    }
}

/// A cache under replay.
pub(crate) trait Engine {
    /// Looks the key up and puts it in when it is not there; returns whether it was.
    fn request(&mut self, request: TraceRequest) -> bool;

    /// What it holds now.
    fn held(&self) -> Held;

    /// What only the product's cache can tell.
    fn details(&self) -> Option<Details> {
        None
    }
}

/// Bytes of key and value of a request's object; cut to 4 GiB, which no capacity in sight holds.
pub(crate) const fn object_bytes(request: TraceRequest) -> u32 {
    request.value_bytes.saturating_add(KEY_BYTES as u32)
}
