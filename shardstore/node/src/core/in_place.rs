//! GET of a key of another core of this node, read from that core's shard in place.
//!
//! **Not** for large values, or what is being changed: those are asked of the owner by a hop; nor behind requests of the
//! connection that wait for another core, which a read must not overtake.
//!
//! **Invariants**: nothing of the other core's memory is written, and nothing of it is lent; nothing is allocated.
//!
//! **Source**: docs/adr/0008-page-versions.md.

use shardstore::key::KeyHash;
use shardstore::wire::Status;
use shardstore::wire::reassembly::ValuePart;
use store_runtime::remote::{RemoteItem, RemoteRead};

use super::answer::OwnedResponse;
use super::context::{RequestContext, response_to};
use super::note;
use super::operate::ttl_left_ms;
use super::serve::FrameHandler;
use crate::metrics::Event;

impl FrameHandler {
    /// Answers a GET from another core's shard; false when its owner has to be asked.
    pub(super) fn lookup_in_place(
        &self,
        (hash, key): (KeyHash, &[u8]),
        reply: &RequestContext,
        out: &mut Vec<u8>,
    ) -> bool {
        let core = &self.core;
        if self.link.is_hopping() {
            return false;
        }
        core.store.read_remote((hash, key), |read| match read {
            RemoteRead::Found(item) if item.value.len() <= self.link.frame_value_bytes_max() as usize => {
                note(core, Event::ReadInPlace);
                self.write_found(&item, reply, out);
                true
            }
            RemoteRead::Absent => {
                note(core, Event::ReadInPlace);
                self.send(reply, OwnedResponse::status(Status::NotFound), out);
                true
            }
            RemoteRead::Found(_) | RemoteRead::AskOwner => false,
        })
    }

    fn write_found(&self, item: &RemoteItem<'_>, reply: &RequestContext, out: &mut Vec<u8>) {
        let core = &self.core;
        core.metrics().note_response(Status::Ok);
        if !reply.is_answered(Status::Ok, &self.link.credit) {
            return;
        }
        let mut response = response_to(reply, Status::Ok, core.reactor.now());
        response.credits = self.link.credit.take_credits();
        response.version = item.version.bits();
        response.ttl_ms = ttl_left_ms(item.expire_ms, core.reactor.wall_ms());
        response.value_crc32c = Some(item.value_crc32c);
        response.metadata = item.metadata;
        response.encode_head(self.link.dialect, ValuePart::whole(item.value.len() as u32), out);
        out.extend_from_slice(item.value);
    }
}
