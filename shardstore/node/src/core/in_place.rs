//! GET and READ of a key of another core of this node, read from that core's shard in place.
//!
//! **Not** for bytes of large values, or what is being changed, or while the owner still drops slots that have left: those are asked
//! of the owner by a hop; nor behind requests of the
//! connection that wait for another core, which a read must not overtake.
//!
//! **Invariants**: nothing of the other core's memory is written, and nothing of it is lent; nothing is allocated.
//!
//! **Source**: docs/adr/0008-page-versions.md.

use std::ops::Range;

use shardstore::key::KeyHash;
use shardstore::wire::ext::{CarriedPart, WantedPart};
use shardstore::wire::reassembly::ValuePart;
use shardstore::wire::{Status, checksum};
use store_runtime::remote::{RemoteItem, RemoteRead};

use super::answer::OwnedResponse;
use super::context::{RequestContext, response_to};
use super::note;
use super::operate::{is_wanted, part_of, ttl_left_ms};
use super::serve::FrameHandler;
use crate::metrics::Event;

impl FrameHandler {
    /// Whether the owner has to be asked whatever it holds: a request before this one is on its way there, or the owner still
    /// drops slots that have left.
    #[inline]
    fn must_hop(&self, hash: KeyHash) -> bool {
        self.link.is_hopping() || !self.core.is_settled(self.core.store.cores().owner(hash))
    }

    /// Answers a GET from another core's shard; false when its owner has to be asked.
    pub(super) fn lookup_in_place(
        &self,
        (hash, key): (KeyHash, &[u8]),
        reply: &RequestContext,
        out: &mut Vec<u8>,
    ) -> bool {
        let core = &self.core;
        if self.must_hop(hash) {
            return false;
        }
        core.store.read_remote((hash, key), |read| match read {
            RemoteRead::Found(item) if item.value.len() <= self.link.frame_value_bytes_max() as usize => {
                note(core, Event::ReadInPlace);
                self.write_found(&item, None, reply, out);
                true
            }
            RemoteRead::Absent => {
                note(core, Event::ReadInPlace);
                self.send(reply, OwnedResponse::status(Status::NotFound), out);
                true
            }
            RemoteRead::Found(_) | RemoteRead::Large(_) | RemoteRead::AskOwner => false,
        })
    }

    /// Answers a READ from another core's shard; false when its owner has to be asked: for bytes of a large value, or for a
    /// version that is not there, which it may still hold.
    pub(super) fn read_in_place(
        &self,
        (hash, key): (KeyHash, &[u8]),
        wanted: &WantedPart,
        reply: &RequestContext,
        out: &mut Vec<u8>,
    ) -> bool {
        let core = &self.core;
        if self.must_hop(hash) {
            return false;
        }
        core.store.read_remote((hash, key), |read| match read {
            RemoteRead::Found(item) | RemoteRead::Large(item)
                if wanted.version == 0 || wanted.version == item.version.bits() =>
            {
                let is_wanted = is_wanted(wanted, item.value_bytes);
                let range = if is_wanted { part_of(wanted).range(item.value_bytes) } else { 0..0 };
                let is_large = matches!(read, RemoteRead::Large(_));
                if (is_wanted && is_large) || range.len() > self.link.frame_value_bytes_max() as usize {
                    return false;
                }
                note(core, Event::ReadInPlace);
                self.write_found(&item, Some(range), reply, out);
                true
            }
            RemoteRead::Absent if wanted.version == 0 => {
                note(core, Event::ReadInPlace);
                self.send(reply, OwnedResponse::status(Status::NotFound), out);
                true
            }
            _ => false,
        })
    }

    /// Writes an item, or a part of it as the answer to a READ.
    fn write_found(
        &self,
        item: &RemoteItem<'_>,
        part: Option<Range<usize>>,
        reply: &RequestContext,
        out: &mut Vec<u8>,
    ) {
        let core = &self.core;
        core.metrics().note_response(Status::Ok);
        if !reply.is_answered(Status::Ok, &self.link.credit) {
            return;
        }
        let value = part.as_ref().map_or(item.value, |range| &item.value[range.clone()]);
        let mut response = response_to(reply, Status::Ok, core.reactor.now());
        response.credits = self.link.credit.take_credits();
        response.version = item.version.bits();
        response.ttl_ms = ttl_left_ms(item.expire_ms, core.reactor.steady_ms());
        response.value_crc32c = Some(item.value_crc32c);
        if let Some(range) = part {
            let (total, offset) = (item.value_bytes as u32, range.start as u32);
            response.part = Some(CarriedPart { total, offset, value_crc32c: item.value_crc32c });
            if value.len() < item.value_bytes {
                response.value_crc32c = Some(checksum(value));
            }
        }
        response.metadata = item.metadata;
        response.encode_head(self.link.dialect, ValuePart::whole(value.len() as u32), out);
        out.extend_from_slice(value);
    }
}
