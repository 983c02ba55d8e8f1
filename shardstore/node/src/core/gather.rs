//! The answers to one batch, put together.
//!
//! **Not**: who is asked for them.
//!
//! **Invariants**: every entry gets exactly one answer; the answers together stay below [`ANSWER_BYTES_MAX`].
//!
//! **Source**: docs/wire.md, "Batches".

use std::rc::Rc;
use std::sync::Arc;

use reactor::Instant;
use shardstore::wire::batch::{BatchAnswer, BatchAnswers, ENTRY_FIXED_BYTES};
use shardstore::wire::{Flags, Kind, Status};
use store_runtime::budget::Lease;
use store_runtime::shared_budget::{SharedBudget, SharedLease};

use super::NodeCore;
use super::answer::OwnedResponse;
use super::batch_part::PartAnswers;
use super::context::RequestContext;
use super::link::Link;
use super::respond::{BUSY_RETRY_US, INLINE_BYTES_MAX, Sent, respond};

/// Bytes of a batch's answers together: what is copied once on the owning core and twice on the asking one, in 0.1 to 0.3 ms each.
/// Entries that do not fit are answered TOO_LARGE, and are to be read one by one.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The answers to one batch as they come in.
pub(super) struct Gather {
    reply: RequestContext,
    link: Rc<Link>,
    entries: Vec<OwnedResponse>,
    /// Parts that other cores have not answered.
    parts_missing: usize,
    bytes_left: usize,
    /// For the entries.
    leases: Vec<SharedLease>,
    /// For the parts that are with other cores.
    frames: Vec<Lease>,
}

/// Room for the answers that one core gives to a batch. Nothing is copied before it has room.
pub(super) struct AnswerRoom {
    bytes_left: usize,
    taken_bytes: usize,
    /// For what is more than is written at once.
    lease: SharedLease,
}

impl AnswerRoom {
    pub(super) fn new(budget: &Arc<SharedBudget>) -> Self {
        AnswerRoom { bytes_left: ANSWER_BYTES_MAX, taken_bytes: 0, lease: budget.empty_lease() }
    }

    /// Takes room for an entry with so many bytes.
    ///
    /// # Errors
    /// How the entry is answered instead: the batch is too large, or the node has no memory for it now.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Status> {
        let bytes = ENTRY_FIXED_BYTES + bytes;
        if bytes > self.bytes_left {
            return Err(Status::TooLarge);
        }
        let taken_bytes = self.taken_bytes + bytes;
        if taken_bytes > INLINE_BYTES_MAX && !self.lease.covers(taken_bytes) {
            return Err(Status::Busy);
        }
        (self.bytes_left, self.taken_bytes) = (self.bytes_left - bytes, taken_bytes);
        Ok(())
    }

    /// The memory that was taken, to be held for as long as the answers are.
    pub(super) fn into_lease(self) -> SharedLease {
        self.lease
    }
}

/// Replaces an answer that does not fit any more.
fn fit(answer: &mut OwnedResponse, bytes_left: &mut usize) {
    let bytes = ENTRY_FIXED_BYTES + answer.metadata.len() + answer.value.len();
    if bytes <= *bytes_left {
        *bytes_left -= bytes;
    } else {
        *answer = OwnedResponse::status(Status::TooLarge);
    }
}

/// The answer to a part, with the memory that it takes.
pub(super) fn part_answer((answers, lease): PartAnswers) -> OwnedResponse {
    OwnedResponse { lease: Some(lease), ..as_one(&answers) }
}

fn as_one(answers: &[OwnedResponse]) -> OwnedResponse {
    OwnedResponse { flags: Flags::BATCH, ..OwnedResponse::payload(encode(answers)) }
}

fn encode(answers: &[OwnedResponse]) -> Vec<u8> {
    let listed: Vec<BatchAnswer<'_>> = answers
        .iter()
        .map(|answer| BatchAnswer {
            status: answer.status,
            replaced: answer.status == Status::Ok && answer.previous_version.is_some(),
            metadata: &answer.metadata,
            value: &answer.value,
            value_crc32c: answer.value_crc32c.unwrap_or(0),
            ttl_ms: answer.ttl_ms,
            version: answer.version,
        })
        .collect();
    let mut payload = Vec::new();
    BatchAnswers::write(&mut payload, &listed).expect("the answers to a checked batch are one");
    payload
}

impl Gather {
    /// Nothing is taken yet; what no core does is answered in `entries`.
    pub(super) fn new(reply: RequestContext, link: Rc<Link>, entries: Vec<OwnedResponse>) -> Self {
        let bytes_left = ANSWER_BYTES_MAX.min(link.terms.value_bytes_max as usize);
        Gather { reply, link, entries, parts_missing: 0, bytes_left, leases: Vec::new(), frames: Vec::new() }
    }

    /// The connection that waits for the response.
    pub(super) fn link(&self) -> Rc<Link> {
        Rc::clone(&self.link)
    }

    /// By when the response is wanted.
    pub(super) fn deadline(&self) -> Instant {
        self.reply.deadline
    }

    /// Whether no part is with another core.
    pub(super) fn is_complete(&self) -> bool {
        self.parts_missing == 0
    }

    /// Notes a part that another core is asked for.
    pub(super) fn note_part(&mut self, lease: Option<Lease>) {
        self.parts_missing += 1;
        self.frames.extend(lease);
    }

    /// Answers a part that there was no room to ask for.
    pub(super) fn refuse_part(&mut self, indices: &[u16]) {
        self.parts_missing -= 1;
        self.refuse(indices);
    }

    /// Answers entries that there is no memory for now.
    pub(super) fn refuse(&mut self, indices: &[u16]) {
        self.fill(indices, indices.iter().map(|_| OwnedResponse::status(Status::Busy)).collect());
    }

    /// Takes the answers to the entries with these indices, which this core gave at once.
    pub(super) fn take(&mut self, indices: &[u16], (answers, lease): PartAnswers) {
        self.fill(indices, answers);
        // Memory of answers is held until the response is written.
        self.leases.push(lease);
    }

    fn fill(&mut self, indices: &[u16], answers: Vec<OwnedResponse>) {
        debug_assert_eq!(indices.len(), answers.len());
        for (index, mut answer) in indices.iter().zip(answers) {
            fit(&mut answer, &mut self.bytes_left);
            self.entries[usize::from(*index)] = answer;
        }
    }

    /// Takes the answers of this core to a part that took several turns; the response is written when it was the last one missing.
    pub(super) fn take_part(&mut self, core: &NodeCore, indices: &[u16], answers: PartAnswers) {
        self.take(indices, answers);
        self.note_part_over(core);
    }

    /// Takes another core's answer to its part; the response is written when it was the last one missing.
    pub(super) fn take_answer(&mut self, core: &NodeCore, indices: &[u16], answer: OwnedResponse) {
        let answers = match BatchAnswers::parse(&answer.value, u16::MAX) {
            Ok(parsed) if answer.status == Status::Ok => parsed.iter().map(|entry| owned(&entry)).collect(),
            // The part was not done: too late.
            _ => indices.iter().map(|_| OwnedResponse::retry(answer.status, BUSY_RETRY_US)).collect(),
        };
        self.fill(indices, answers);
        self.leases.extend(answer.lease);
        self.note_part_over(core);
    }

    fn note_part_over(&mut self, core: &NodeCore) {
        self.parts_missing -= 1;
        if self.parts_missing > 0 {
            return;
        }
        let link = Rc::clone(&self.link);
        let sent = self.finish(core, &mut link.sender.write());
        if sent == Sent::Now && self.reply.kind == Kind::Request {
            link.credit.note_completed(self.reply.bytes);
        }
        link.end_batch();
        link.attention.notify();
    }

    /// Writes the response.
    pub(super) fn finish(&mut self, core: &NodeCore, out: &mut Vec<u8>) -> Sent {
        let whole = as_one(&std::mem::take(&mut self.entries));
        self.leases.clear();
        // What is not written at once is leased there.
        respond(core, &self.link, &self.reply, whole, out)
    }
}

fn owned(entry: &BatchAnswer<'_>) -> OwnedResponse {
    OwnedResponse {
        version: entry.version,
        ttl_ms: entry.ttl_ms,
        value_crc32c: Some(entry.value_crc32c),
        previous_version: entry.replaced.then_some(0),
        metadata: entry.metadata.to_vec(),
        value: entry.value.to_vec(),
        ..OwnedResponse::status(entry.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_room_beyond_the_answer_or_the_memory() {
        let budget = SharedBudget::new(512 << 10);
        let mut room = AnswerRoom::new(&budget);
        assert_eq!(room.take(INLINE_BYTES_MAX - ENTRY_FIXED_BYTES), Ok(()));
        assert_eq!(budget.leased_bytes(), 0, "what is written at once costs no lease");
        assert_eq!(room.take(400_000), Ok(()));
        assert!(budget.leased_bytes() >= 400_000);
        assert_eq!((room.take(100_000), room.take(ANSWER_BYTES_MAX)), (Err(Status::Busy), Err(Status::TooLarge)));
        assert_eq!(room.take(1_000), Ok(()), "what is smaller still has room");
        drop(room.into_lease());
        assert_eq!(budget.leased_bytes(), 0);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_too_large_and_takes_nothing() {
        let bytes = ENTRY_FIXED_BYTES + 3 + 5;
        for (left, status, left_then) in [
            (bytes, Status::Ok, 0),
            (bytes + 7, Status::Ok, 7),
            (bytes - 1, Status::TooLarge, bytes - 1),
            (0, Status::TooLarge, 0),
        ] {
            let mut answer =
                OwnedResponse { metadata: vec![1; 3], value: vec![2; 5], ..OwnedResponse::status(Status::Ok) };
            let mut bytes_left = left;
            fit(&mut answer, &mut bytes_left);
            assert_eq!((answer.status, bytes_left), (status, left_then), "{left} bytes left");
            assert_eq!(answer.value.is_empty(), status == Status::TooLarge, "{left} bytes left");
        }
    }
}
