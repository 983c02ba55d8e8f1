//! Rounds that alternate between the stores, and a pass that times every call.
//!
//! **Not**: which calls (that is `load`).
//!
//! **Invariants**: calls are made before the clock is read; each round begins with another store, so that what changes on
//! the host while it is measured changes for all of them.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use shardstore::cache::Commit;

use super::latency::{Latencies, Percentiles};
use super::load::{CallMix, Calls, Scale};
use super::store::{Buffers, Call, CallKind, Kind, StoreRunner};
use perf_basis::machine;
use perf_basis::machine::resident_bytes;

/// Calls between two readings of the clock: long enough that reading it does not show, short enough that the calls
/// themselves stay in the second cache.
const BATCH: usize = 4096;

/// Rounds of their own for the warm-up and the timed pass, so that no keys of theirs come again.
const WARM_UP_ROUND: u64 = 1 << 20;
const TIMED_ROUND: u64 = WARM_UP_ROUND + 1;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasuredExtent {
    /// Alternating rounds.
    pub(crate) rounds: u16,
    /// Calls of a round.
    pub(crate) calls: u64,
    /// Calls of a round that are known at once; the timed pass makes them one by one.
    pub(crate) ahead: u16,
    /// Calls of the timed pass.
    pub(crate) timed: u64,
}

/// One store and its results.
pub(crate) struct Contender {
    /// Which it is.
    pub(crate) kind: Kind,
    /// It.
    pub(crate) store: Box<dyn StoreRunner>,
    /// Growth of the process while it was filled, in bytes.
    pub(crate) resident_bytes: u64,
}

/// One round of one store.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct StoreSample {
    /// CPU time of a call, in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// Elapsed time of a call, in nanoseconds.
    pub(crate) elapsed_ns: f64,
    /// Share of the gets and deletes that found their key.
    pub(crate) found: Option<f64>,
}

/// All of one store under one mix.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The load.
    pub(crate) mix: CallMix,
    /// The store.
    pub(crate) store: Kind,
    /// One for each round, in order.
    pub(crate) samples: Vec<StoreSample>,
    /// Held at the end.
    pub(crate) items: u64,
    /// What the process grew by while the store was filled, before the rounds; none for stores made where others had been.
    pub(crate) resident_bytes: Option<u64>,
    /// Of single calls, by kind.
    pub(crate) latencies: Vec<(&'static str, Percentiles)>,
}

/// Makes a store and fills it for a mix.
///
/// # Errors
/// The store cannot be made, or /proc is not mounted.
pub(crate) fn fill(
    kind: Kind,
    mix: CallMix,
    (memory_bytes, commit): (u64, Commit),
    scale: &Scale,
) -> Result<Contender> {
    let before = resident_bytes(std::process::id())?;
    let mut buffers = Buffers::new(scale.sizes.largest());
    let mut store = kind.make(memory_bytes, memory_bytes as f64 / scale.fitting as f64, commit)?;
    let mut batch = Vec::with_capacity(BATCH);
    let mut numbers = scale.filling(mix).peekable();
    while numbers.peek().is_some() {
        batch.clear();
        batch.extend(numbers.by_ref().take(BATCH).map(|number| scale.call(CallKind::Set, number)));
        store.run(&batch, 1, &mut buffers);
    }
    let resident_bytes = resident_bytes(std::process::id())?.saturating_sub(before);
    Ok(Contender { kind, store, resident_bytes })
}

/// Measures all stores under a mix; a row for each.
pub(crate) fn measure(contenders: &mut [Contender], mix: CallMix, scale: &Scale, extent: MeasuredExtent) -> Vec<Row> {
    let mut buffers = Buffers::new(scale.sizes.largest());
    let empty = |contender: &Contender| Row {
        mix,
        store: contender.kind,
        samples: Vec::new(),
        items: 0,
        resident_bytes: Some(contender.resident_bytes),
        latencies: Vec::new(),
    };
    let mut rows: Vec<Row> = contenders.iter().map(empty).collect();
    for contender in &mut *contenders {
        eprintln!("{}: warming {} up", mix.name(), contender.kind.name());
        warm_up(&mut *contender.store, &mut Calls::new(scale, mix, WARM_UP_ROUND), extent.calls, &mut buffers);
    }
    let count = contenders.len();
    for round in 0..usize::from(extent.rounds) {
        eprintln!("{}: round {} of {}", mix.name(), round + 1, extent.rounds);
        for at in (0..count).map(|turn| (round + turn) % count) {
            let mut calls = Calls::new(scale, mix, round as u64);
            rows[at].samples.push(run(
                &mut *contenders[at].store,
                &mut calls,
                (extent.calls, extent.ahead),
                &mut buffers,
            ));
        }
    }
    eprintln!("{}: single calls", mix.name());
    for (contender, row) in contenders.iter_mut().zip(&mut rows) {
        let mut calls = Calls::new(scale, mix, TIMED_ROUND);
        row.latencies = time(&mut *contender.store, &mut calls, extent.timed, &mut buffers).all();
        row.items = contender.store.items();
    }
    rows
}

/// Brings a store into the state in which it is measured.
fn warm_up(store: &mut dyn StoreRunner, calls: &mut Calls<'_>, round_calls: u64, buffers: &mut Buffers) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut left = calls.warm_up(round_calls);
    while left > 0 {
        calls.next_batch(&mut batch, left.min(BATCH as u64) as usize);
        left -= batch.len() as u64;
        store.run_filling(&batch, buffers);
        store_again(store, &mut batch, buffers);
    }
}

/// Makes `count` calls of a store, of which `ahead` are known at once.
fn run(
    store: &mut dyn StoreRunner,
    calls: &mut Calls<'_>,
    (count, ahead): (u64, u16),
    buffers: &mut Buffers,
) -> StoreSample {
    let mut batch = Vec::with_capacity(BATCH);
    let (mut cpu_ns, mut elapsed_ns, mut found, mut asked) = (0, 0, 0, 0);
    let mut left = count;
    while left > 0 {
        calls.next_batch(&mut batch, left.min(BATCH as u64) as usize);
        left -= batch.len() as u64;
        asked += batch.iter().filter(|call| call.verb != CallKind::Set).count();
        let (began, cpu_before) = (Instant::now(), machine::thread_cpu_ns());
        found += store.run(&batch, ahead, buffers);
        cpu_ns += machine::thread_cpu_ns() - cpu_before;
        elapsed_ns += began.elapsed().as_nanos() as u64;
        store_again(store, &mut batch, buffers);
    }
    let of_count = |sum: u64| sum as f64 / count.max(1) as f64;
    StoreSample {
        cpu_ns: of_count(cpu_ns),
        elapsed_ns: of_count(elapsed_ns),
        found: (asked > 0).then(|| found as f64 / asked as f64),
    }
}

/// Times `count` calls of a store one by one.
fn time(store: &mut dyn StoreRunner, calls: &mut Calls<'_>, count: u64, buffers: &mut Buffers) -> Latencies {
    let mut batch = Vec::with_capacity(BATCH);
    let mut latencies = Latencies::new();
    let mut left = count;
    while left > 0 {
        calls.next_batch(&mut batch, left.min(BATCH as u64) as usize);
        left -= batch.len() as u64;
        store.time(&batch, buffers, &mut latencies);
        store_again(store, &mut batch, buffers);
    }
    latencies
}

/// Puts back what a batch deleted.
fn store_again(store: &mut dyn StoreRunner, batch: &mut Vec<Call>, buffers: &mut Buffers) {
    batch.retain(|call| call.verb == CallKind::Delete);
    batch.iter_mut().for_each(|call| call.verb = CallKind::Set);
    store.run(batch, 1, buffers);
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use perf_basis::sizes::Sizes;

    #[test]
    fn every_store_is_measured_under_every_mix() {
        let memory_bytes = 4 << 20;
        let scale = Scale::of(memory_bytes, Sizes::Fixed(264));
        let extent = MeasuredExtent { rounds: 2, calls: 5_000, ahead: 16, timed: 5_000 };
        for mix in [CallMix::GetHit, CallMix::Delete, CallMix::Zipf, CallMix::Set] {
            let fill = |kind: &Kind| fill(*kind, mix, (memory_bytes, Commit::AsNeeded), &scale).unwrap();
            let mut contenders: Vec<_> = Kind::value_variants().iter().map(fill).collect();
            for row in measure(&mut contenders, mix, &scale, extent) {
                assert_eq!(row.samples.len(), 2);
                assert!(row.samples.iter().all(|sample| sample.cpu_ns > 1.0), "{row:?}");
                let found = row.samples[1].found;
                match mix {
                    CallMix::GetHit => assert_eq!(found, Some(1.0), "{row:?}"),
                    CallMix::Delete => assert!(found.unwrap() > 0.5, "{row:?}"),
                    CallMix::Zipf => assert!((0.3..0.99).contains(&found.unwrap()), "{row:?}"),
                    CallMix::Set => assert_eq!(found, None),
                }
                let kinds: Vec<_> = row.latencies.iter().map(|(kind, _)| *kind).collect();
                let tends = row.store == Kind::Shardstore && mix != CallMix::GetHit;
                assert_eq!(kinds.contains(&"maintain"), tends, "{kinds:?}");
            }
        }
    }
}
