//! Reads that the poll could not answer: of another core, of a node, or of a value that is sent part by part.
//!
//! ```text
//!  plain GET ──▶ its first part, with what is known of the value ──────────────┐
//!  HEAD, conditions, ranges ──▶ what is known ──▶ no bytes needed: answered    ├──▶ head, first part ──▶ room ─▶ part ─▶ …
//!                                            └──▶ the part that is needed ─────┘
//! ```
//!
//! **Not** on the hit path: it may allocate and wait.
//!
//! **Invariants**: memory is leased before any bytes are asked for, and a response that has begun has what it needs to its end,
//! however many others wait; a client that does not read holds one part and a half; all parts are of the version that the head
//! names, and a response that cannot be completed is cut, never filled up.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelane_http::Method;
use corelane_http::cache_control::CacheControl;
use corelane_http::cache_status::{CacheStatus, ForwardReason, HitSource};
use corelane_http::request::RequestHead;
use shardstore::version::Version;
use shardstore::wire::{checksum, checksum_append};
use store_runtime::budget::Lease;
use store_runtime::request::{Outcome, PART_BYTES_MAX, ReadPart, Refusal, Source, StoreOp, StoreResponse, StoredValue};

use super::KvService;
use super::plan::Key;
use super::respond::{self, Decided, ItemMeta};
use super::value::COPY_BYTES_MAX;
use crate::exchange::origin::{Keeper, ResponseOrigin};
use crate::exchange::outbound::LeasedBytes;
use crate::exchange::{Reply, Wire};

/// How often a read begins anew because the value was replaced between what is known of it and its bytes.
const BEGINNINGS_MAX: usize = 4;

/// What a response in parts has at once: one that is on its way to the client, and half of the one before.
const STREAM_BYTES: usize = PART_BYTES_MAX + PART_BYTES_MAX / 2;

/// How often a part is asked for whose keeper is over a bound, in a response that has begun, and the pause before each.
const RETRIES_MAX: u32 = 8;
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a read has come to.
enum FetchProgress {
    /// Its response is written, or its client gone.
    Done,
    /// The value was replaced before anything was written.
    Replaced,
}

/// The bytes of a response that are still to be sent.
struct PartsLeft {
    range: Range<usize>,
    /// Of the value that the head names.
    version: Version,
    value_crc32c: u32,
    /// How long the store may still take for all of it, however long the client does.
    patience: Duration,
    /// CRC-32C of all bytes before, where the whole value is sent and came from elsewhere: it is checked before the last part.
    crc: Option<u32>,
}

impl KvService {
    /// Reads a key wherever it is.
    pub(super) async fn fetch<W: Wire>(&self, head: &RequestHead<'_>, key: &Key, wire: &mut W) {
        for _ in 0..BEGINNINGS_MAX {
            if let FetchProgress::Done = self.fetch_once(head, key, wire).await {
                return;
            }
        }
        wire.respond(|reply| respond::refusal(Refusal::Busy, None, reply));
    }

    async fn fetch_once<W: Wire>(&self, head: &RequestHead<'_>, key: &Key, wire: &mut W) -> FetchProgress {
        // A directive nobody understands does not stop a read (RFC 9111, section 5.2).
        // What must not be stored is asked of the owner, too: whoever else asks for it meanwhile waits for a fill that may be kept.
        let asked = CacheControl::parse(head.cache_control()).unwrap_or_default();
        let fresh = asked.no_cache || asked.no_store;
        let is_plain = head.method() == Method::Get && !head.is_conditional_or_partial();
        let (response, lease) = if is_plain {
            self.ask_part(key, ReadPart::beginning(fresh)).await
        } else {
            let deadline = self.store.deadline(0);
            (self.store.ask(key, StoreOp::Inspect { fresh }, deadline).await, None)
        };
        let source = response.source;
        let reason = if fresh { ForwardReason::Request } else { ForwardReason::Miss };
        let cache_status = self.forward_status(key, source, reason);
        let origin = Self::node_origin(source, reason);
        match response.outcome {
            Outcome::Found(found) => {
                let origin = origin.unwrap_or(ResponseOrigin::Hit(self.keeper(key)));
                self.send((head, key), (found, lease), (source, cache_status, origin), wire).await
            }
            outcome => {
                let is_refused = matches!(outcome, Outcome::Refused(_));
                let here = if is_refused { ResponseOrigin::Nobody } else { ResponseOrigin::Absent(self.keeper(key)) };
                wire.respond(|reply| {
                    reply.note_origin(origin.unwrap_or(here));
                    self.respond_none(&outcome, source, cache_status, reply);
                });
                FetchProgress::Done
            }
        }
    }

    /// Asks for a part of a value, with the memory that it takes.
    async fn ask_part(&self, key: &Key, part: ReadPart) -> (StoreResponse, Option<Lease>) {
        let deadline = self.store.deadline(part.bytes_max.min(PART_BYTES_MAX));
        let Some(lease) = self.outbound.take(&self.store.reactor, memory_of(part.bytes_max), deadline).await else {
            return (StoreResponse::refused(Refusal::Busy), None);
        };
        (self.store.ask(key, StoreOp::Read(part), deadline).await, Some(lease))
    }

    fn respond_none<R: Reply>(
        &self,
        outcome: &Outcome,
        source: Source,
        cache_status: Option<CacheStatus>,
        reply: &mut R,
    ) {
        if let Outcome::Refused(refusal) = outcome {
            // What this process refused without asking a node was neither hit nor forwarded.
            return respond::refusal(*refusal, cache_status.filter(|_| source != Source::Shard), reply);
        }
        let status = if source == Source::Shard { Some(CacheStatus::Miss) } else { cache_status };
        self.metrics.reads_absent.increment();
        respond::absent(status.filter(|_| self.cache_status()), reply);
    }

    /// Sends the response to a read of a value that exists.
    async fn send<W: Wire>(
        &self,
        (head, key): (&RequestHead<'_>, &Key),
        (mut found, lease): (StoredValue, Option<Lease>),
        (source, cache_status, origin): (Source, Option<CacheStatus>, ResponseOrigin),
        wire: &mut W,
    ) -> FetchProgress {
        // Held by what sends it, and by nobody for longer.
        let here = std::mem::take(&mut found.part);
        let meta = meta_of(&found, cache_status);
        let decided = Decided::of(head, &meta);
        let now_ms = self.store.now_ms();
        let Some(range) = decided.body() else {
            self.count_read(key, source);
            wire.respond(|reply| {
                reply.note_origin(origin);
                respond::found(&meta, &decided, now_ms, reply);
            });
            return FetchProgress::Done;
        };
        let is_here = found.offset == range.start && !here.is_empty();
        let (part, lease) = match lease {
            Some(lease) if is_here => (here, lease),
            earlier => {
                drop((here, earlier));
                match self.first_part(key, &found, &range).await {
                    Ok(first) => first,
                    Err(Outcome::Refused(refusal)) => {
                        wire.respond(|reply| self.respond_refused(refusal, cache_status, reply));
                        return FetchProgress::Done;
                    }
                    Err(_) => return FetchProgress::Replaced,
                }
            }
        };
        debug_assert!(part.len() <= range.len().min(PART_BYTES_MAX), "no more than was asked for");
        let is_checked = source == Source::Shard || range.len() < found.value_bytes;
        let crc = (!is_checked).then(|| checksum(&part));
        let rest = PartsLeft {
            range: range.start + part.len()..range.end,
            version: found.version,
            value_crc32c: found.value_crc32c,
            patience: self.store.patience(range.len()),
            crc,
        };
        let Some(lease) = self.lease_rest(lease, (part.len(), range.len())).await else {
            wire.respond(|reply| self.respond_refused(Refusal::Busy, cache_status, reply));
            return FetchProgress::Done;
        };
        self.count_read(key, source);
        wire.respond(|reply| {
            reply.note_origin(origin);
            respond::found(&meta, &decided, now_ms, reply);
            if range.len() <= COPY_BYTES_MAX {
                reply.copy(&part);
            } else {
                reply.lend(LeasedBytes::share(part, &lease));
            }
        });
        self.send_rest(key, rest, &lease, wire).await;
        FetchProgress::Done
    }

    /// The memory for a response whose first part is here: what it needs to its end.
    async fn lease_rest(&self, mut lease: Lease, (part_bytes, bytes): (usize, usize)) -> Option<Rc<Lease>> {
        if part_bytes == bytes {
            lease.shrink_to(part_bytes);
            return Some(Rc::new(lease));
        }
        if lease.covers(memory_of(bytes)) {
            return Some(Rc::new(lease));
        }
        drop(lease);
        let deadline = self.store.deadline(part_bytes);
        self.outbound.take(&self.store.reactor, memory_of(bytes), deadline).await.map(Rc::new)
    }

    /// Refuses a read before anything of its response is written.
    fn respond_refused<R: Reply>(&self, refusal: Refusal, cache_status: Option<CacheStatus>, reply: &mut R) {
        let forwarded = cache_status.filter(|status| matches!(status, CacheStatus::Forwarded { .. }));
        respond::refusal(refusal, forwarded, reply);
    }

    /// The first part of a range of a value of which only the rest is known; or what came instead.
    async fn first_part(
        &self,
        key: &Key,
        found: &StoredValue,
        range: &Range<usize>,
    ) -> Result<(Arc<Vec<u8>>, Lease), Outcome> {
        let part = ReadPart {
            offset: range.start,
            bytes_max: range.len(),
            version: Some(found.version),
            is_first: range.len() > PART_BYTES_MAX,
            fresh: false,
        };
        match self.ask_part(key, part).await {
            (StoreResponse { outcome: Outcome::Found(first), .. }, Some(lease))
                if first.offset == range.start && !first.part.is_empty() =>
            {
                Ok((first.part, lease))
            }
            (response, _) => Err(response.outcome),
        }
    }

    /// Sends the parts that follow the first, each when the client has taken most of the one before.
    async fn send_rest<W: Wire>(&self, key: &Key, mut rest: PartsLeft, lease: &Rc<Lease>, wire: &mut W) {
        while !rest.range.is_empty() {
            if wire.room(PART_BYTES_MAX / 2).await.is_err() {
                return;
            }
            let part = ReadPart {
                offset: rest.range.start,
                bytes_max: rest.range.len(),
                version: Some(rest.version),
                is_first: false,
                fresh: false,
            };
            match self.next_part(key, part, &mut rest.patience).await {
                Some(next) if rest.accept(&next) => wire.extend(LeasedBytes::share(next.part, lease)),
                _ => return self.cut(wire),
            }
        }
    }

    /// A part of a response that has begun: worth more patience than one that may still be refused.
    async fn next_part(&self, key: &Key, part: ReadPart, patience: &mut Duration) -> Option<StoredValue> {
        let reactor = &self.store.reactor;
        let bytes = part.bytes_max.min(PART_BYTES_MAX);
        let began = reactor.now();
        let deadline = began + *patience;
        let mut found = None;
        for _ in 0..RETRIES_MAX {
            match self.store.ask(key, StoreOp::Read(part), deadline.min(self.store.deadline(bytes))).await.outcome {
                Outcome::Found(next) => found = Some(next),
                Outcome::Refused(Refusal::Busy) if reactor.now() < deadline => {
                    reactor.sleep(RETRY_PAUSE).await;
                    continue;
                }
                _ => {}
            }
            break;
        }
        *patience = patience.saturating_sub(reactor.now().since(began));
        found
    }

    /// Ends a response whose value cannot be had to its end.
    fn cut<W: Wire>(&self, wire: &mut W) {
        self.metrics.responses_cut.increment();
        wire.cut();
    }

    /// Where a response comes from if a node was asked.
    pub(super) fn node_origin(source: Source, reason: ForwardReason) -> Option<ResponseOrigin> {
        match source {
            Source::Shard => None,
            Source::Node { id, collapsed } => Some(ResponseOrigin::Node { id, reason, collapsed }),
        }
    }

    /// Whose shard of this process keeps the key.
    pub(super) fn keeper(&self, key: &Key) -> Keeper {
        let source = if self.store.is_own(key.hash) { HitSource::Own } else { HitSource::Core };
        // What an edge with nodes behind it keeps are copies.
        Keeper::of(source, !self.store.is_authority)
    }

    fn count_read(&self, key: &Key, source: Source) {
        match source {
            Source::Node { .. } => self.metrics.reads_node.increment(),
            Source::Shard if self.store.is_own(key.hash) => self.metrics.reads_own_core.increment(),
            Source::Shard => self.metrics.reads_other_core.increment(),
        }
    }

    /// What a response says about where it came from, if it does.
    pub(super) fn forward_status(&self, key: &Key, source: Source, reason: ForwardReason) -> Option<CacheStatus> {
        let own = self.store.is_own(key.hash);
        self.cache_status().then_some(match source {
            Source::Shard => CacheStatus::Hit(if own { HitSource::Own } else { HitSource::Core }),
            Source::Node { id, collapsed } => CacheStatus::Forwarded { reason, node: id, collapsed },
        })
    }
}

impl PartsLeft {
    /// Takes the next part in; false when it is not the one that follows, or the whole does not match its checksum.
    fn accept(&mut self, next: &StoredValue) -> bool {
        let Range { start, end } = self.range;
        let follows = next.offset == start && !next.part.is_empty() && next.part.len() <= end - start;
        if !follows || next.version != self.version {
            return false;
        }
        self.range.start += next.part.len();
        self.crc = self.crc.map(|crc| checksum_append(crc, &next.part));
        !self.range.is_empty() || self.crc.is_none_or(|crc| crc == self.value_crc32c)
    }
}

/// The memory that a response with so many bytes of a value needs at once.
fn memory_of(bytes: usize) -> usize {
    if bytes > PART_BYTES_MAX { STREAM_BYTES } else { bytes }
}

fn meta_of(found: &StoredValue, cache_status: Option<CacheStatus>) -> ItemMeta<'_> {
    ItemMeta {
        version: found.version.bits(),
        expire_ms: found.expire_ms,
        metadata: &found.metadata,
        value_bytes: found.value_bytes,
        cache_status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(version: u64, offset: usize, bytes: &[u8]) -> StoredValue {
        StoredValue {
            version: Version::from_bits(version),
            expire_ms: 0,
            metadata: Arc::default(),
            value_bytes: 9,
            value_crc32c: checksum(b"abcdefghi"),
            offset,
            part: Arc::new(bytes.to_vec()),
        }
    }

    fn rest() -> PartsLeft {
        let (version, value_crc32c) = (Version::from_bits(7), checksum(b"abcdefghi"));
        let crc = Some(checksum(b"abc"));
        PartsLeft { range: 3..9, version, value_crc32c, patience: Duration::ZERO, crc }
    }

    #[test]
    fn only_the_part_that_follows_is_taken() {
        for wrong in [part(7, 4, b"def"), part(8, 3, b"def"), part(7, 3, b""), part(7, 3, b"defghij")] {
            assert!(!rest().accept(&wrong), "{wrong:?}");
        }
        let mut rest = rest();
        assert!(rest.accept(&part(7, 3, b"def")) && rest.range == (6..9));
        assert!(rest.accept(&part(7, 6, b"ghi")) && rest.range.is_empty());
    }

    #[test]
    fn the_last_part_of_a_value_that_does_not_match_its_checksum_is_not_taken() {
        let mut altered = rest();
        assert!(altered.accept(&part(7, 3, b"dXf")), "not known before all of it is there");
        assert!(!altered.accept(&part(7, 6, b"ghi")));
        let mut unchecked = PartsLeft { crc: None, ..rest() };
        assert!(unchecked.accept(&part(7, 3, b"dXfghi")), "of a range nothing is known");
    }
}
