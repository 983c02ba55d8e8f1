//! One core's part of a batch, done slice by slice, so that every other request of the core gets its turn in between.
//!
//! ```text
//!  slice ──▶ (other tasks) ──▶ slice ──▶ … ──▶ answers
//!    │  └─ a value over 128 KiB: written slice by slice itself (staging)
//!    └─ too late, or nobody waits: UNAVAILABLE for the rest
//! ```
//!
//! **Not**: which entries are this core's, and where their answers go ([`super::batch`]).
//!
//! **Invariants**: a slice has at most [`SLICE_ENTRIES`] entries and [`SLICE_BYTES_MAX`] bytes to write, or one entry; entries are done in
//! the order they were asked, each under the map that is in force then; none is begun after the batch's deadline.
//!
//! **Source**: docs/wire.md, "Batches".

use std::iter::Peekable;

use reactor::Instant;
use shardstore::cache::{LOOKAHEAD, SLICE_BYTES_MAX};
use shardstore::key::KeyHash;
use shardstore::wire::request::Set;
use shardstore::wire::{Op, Status};
use store_runtime::shared_budget::SharedLease;

use super::answer::OwnedResponse;
use super::gather::AnswerRoom;
use super::operate::{operate, read_within, set_of};
use super::staging::is_staged;
use super::{NodeCore, note};
use crate::metrics::Event;

/// Entries of one turn: a look-up or write of a small item takes 0.1 to 0.7 us in a warm shard, and a few times as long in a large, cold one.
pub(super) const SLICE_ENTRIES: usize = 128;

/// The entries of one batch that one core does.
pub(super) struct BatchPart {
    pub(super) indices: Vec<u16>,
    pub(super) hashes: Vec<KeyHash>,
}

/// Whether a batch is more than a core does in one turn.
pub(super) const fn is_sliced(op: &Op<'_>) -> bool {
    let (entries, payload) = match op {
        Op::Mget(keys) => (keys.count(), keys.payload()),
        Op::Mset(items) => (items.count(), items.payload()),
        _ => return false,
    };
    entries as usize > SLICE_ENTRIES || payload.len() > SLICE_BYTES_MAX
}

/// The operations of a batch, each of one key.
fn entries<'a>(op: &Op<'a>) -> impl Iterator<Item = Op<'a>> + use<'a> {
    let (keys, items) = match op {
        Op::Mget(keys) => (Some(*keys), None),
        Op::Mset(items) => (None, Some(*items)),
        _ => (None, None),
    };
    let gets = keys.into_iter().flat_map(|keys| keys.iter()).map(|key| Op::Get { key });
    gets.chain(items.into_iter().flat_map(|items| items.iter()).map(|item| Op::Set(set_of(&item))))
}

/// Those of them that belong to a part.
fn entries_of<'a, 'p>(op: &Op<'a>, part: &'p BatchPart) -> impl Iterator<Item = (KeyHash, Op<'a>)> + use<'a, 'p> {
    // Indices ascend, so that only the next one has to be compared.
    let mut wanted = part.indices.iter().zip(&part.hashes).peekable();
    entries(op).enumerate().filter_map(move |(index, op)| {
        wanted.next_if(|(wanted, _)| usize::from(**wanted) == index).map(|(_, hash)| (*hash, op))
    })
}

/// Where a turn ended.
enum TurnEnd<'a> {
    /// All entries are done.
    Done,
    /// Others have their turn first.
    Later,
    /// The next one is a value that takes several turns by itself.
    Staged(KeyHash, Set<'a>),
}

/// A part under way.
struct PartRun<'p, I: Iterator> {
    part: &'p BatchPart,
    entries: Peekable<I>,
    answers: Vec<OwnedResponse>,
    room: AnswerRoom,
}

impl<'a, I: Iterator<Item = (KeyHash, Op<'a>)>> PartRun<'_, I> {
    /// Does a slice.
    fn turn(&mut self, core: &NodeCore) -> TurnEnd<'a> {
        let (mut done, mut bytes) = (0, 0);
        while let Some((hash, op)) = self.entries.peek().copied() {
            bytes += op.value().len();
            match op {
                _ if done == SLICE_ENTRIES || (done > 0 && bytes > SLICE_BYTES_MAX) => return TurnEnd::Later,
                Op::Set(set) if is_staged(&op) => {
                    self.entries.next();
                    return TurnEnd::Staged(hash, set);
                }
                _ => self.serve(core, hash, &op),
            }
            self.entries.next();
            done += 1;
        }
        TurnEnd::Done
    }

    fn serve(&mut self, core: &NodeCore, hash: KeyHash, op: &Op<'a>) {
        let position = self.answers.len();
        if position.is_multiple_of(LOOKAHEAD) {
            let rest = &self.part.hashes[position..];
            core.store.shard().prefetch(&rest[..rest.len().min(LOOKAHEAD)]);
        }
        let refused = core.refuse_hop(hash.slot(), core.topology_epoch()).map(|answer| answer.status);
        let answer = match (refused, op) {
            (Some(status), _) => OwnedResponse::status(status),
            (None, Op::Get { key }) => read_within(core, hash, key, &mut self.room),
            (None, op) => operate(core, hash, op),
        };
        self.answers.push(answer);
    }

    /// What is not done, nobody waits for.
    fn give_up_rest(&mut self, core: &NodeCore) {
        note(core, Event::DeadlineMissed);
        self.answers.resize_with(self.part.hashes.len(), || OwnedResponse::retry(Status::Unavailable, 0));
    }
}

/// Answers to the entries of a part, with the memory that they take.
pub(super) type PartAnswers = (Vec<OwnedResponse>, SharedLease);

fn begin<'a, 'p>(
    core: &NodeCore,
    op: &Op<'a>,
    part: &'p BatchPart,
) -> PartRun<'p, impl Iterator<Item = (KeyHash, Op<'a>)> + use<'a, 'p>> {
    let (answers, room) = (Vec::with_capacity(part.indices.len()), AnswerRoom::new(&core.shared.batch_answers));
    PartRun { part, entries: entries_of(op, part).peekable(), answers, room }
}

impl NodeCore {
    /// Does a part of a batch that is one turn's work ([`is_sliced`]).
    pub(super) fn perform_part(&self, op: &Op<'_>, part: &BatchPart) -> PartAnswers {
        let mut run = begin(self, op, part);
        let end = run.turn(self);
        debug_assert!(matches!(end, TurnEnd::Done), "who asks for more than a slice waits for it");
        (run.answers, run.room.into_lease())
    }

    /// Does a part of a batch, a slice after all other ready tasks. `is_wanted` is asked before each slice whether anybody still waits.
    pub(super) async fn perform_sliced(
        &self,
        op: &Op<'_>,
        part: &BatchPart,
        deadline: Instant,
        is_wanted: impl Fn() -> bool,
    ) -> PartAnswers {
        let mut run = begin(self, op, part);
        loop {
            // The clock, not the time of the turn: the process may have stood still since.
            if self.reactor.read_clock() > deadline || !is_wanted() {
                run.give_up_rest(self);
                break;
            }
            match run.turn(self) {
                TurnEnd::Done => break,
                TurnEnd::Later => self.reactor.yield_now().await,
                TurnEnd::Staged(hash, set) => {
                    let epoch = self.topology_epoch();
                    run.answers.push(self.write_staged((hash, &set), epoch, deadline, &is_wanted).await);
                    self.reactor.yield_now().await;
                }
            }
        }
        (run.answers, run.room.into_lease())
    }
}
