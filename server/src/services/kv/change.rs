//! PUT and DELETE.
//!
//! **Not** deciding what a head asks for: that is [`super::write`]'s.
//!
//! **Invariants**: what can be refused from the head alone is refused before the body is read; a write whose conditions were
//! weighed here is applied only if the version they were weighed against is still the current one.

use std::sync::Arc;

use corelane_http::Status;
use corelane_http::cache_status::ForwardReason;
use corelane_http::entity_tag::TagRoom;
use corelane_http::problem::Problem;
use corelane_http::request::RequestHead;
use corelane_http::response::ResponseHead;
use shardstore::version::Condition;
use store_runtime::discard::{discard, reclaim};
use store_runtime::request::{Outcome, Refusal, SetValue, Source, StoreOp, StoreResponse};

use super::KvService;
use super::kept;
use super::plan::Key;
use super::respond;
use super::version_tag::tag_of;
use super::write::{self, Depends, Lifetime};
use crate::exchange::body::{self, Bounds, Gathered};
use crate::exchange::origin::ResponseOrigin;
use crate::exchange::wire::BodyFault;
use crate::exchange::{Reply, Wire};
use crate::snapshot::keyspaces::Policy;

/// Writes with conditions that must be weighed first are tried this often when others write meanwhile.
const WEIGHINGS_MAX: usize = 4;

/// What a PUT's head asks for.
struct PutPlan {
    lifetime: Lifetime,
    metadata: Box<[u8]>,
    depends: Depends,
}

impl PutPlan {
    fn of(head: &RequestHead<'_>, policy: Policy) -> Result<Self, Problem<'static>> {
        write::check_body(head, policy)?;
        let (lifetime, metadata) = (write::lifetime(head, policy)?, kept::of_request(head)?);
        Ok(PutPlan { lifetime, metadata, depends: write::depends(head)? })
    }
}

impl KvService {
    /// Stores the request's body.
    pub(super) async fn put<W: Wire>(&self, head: &RequestHead<'_>, key: &Key, wire: &mut W) {
        let policy = key.policy;
        let PutPlan { lifetime: Lifetime { ttl_ms, no_store }, metadata, depends } = match PutPlan::of(head, policy) {
            Ok(plan) => plan,
            Err(problem) => return wire.respond(|reply| respond::refuse(&problem, reply)),
        };
        if head.expect_continue() {
            wire.invite_body();
        }
        let bounds = Bounds {
            budget: &self.bodies,
            metrics: &self.metrics,
            bytes_max: policy.value_bytes_max,
            too_large: write::too_large(policy),
            discard: &|bytes, lease| discard(&self.store.reactor, Arc::new(bytes), Some(lease)),
        };
        // Its memory is leased until it is free again.
        let (value, value_crc32c, lease) = match body::gather(wire, head.body(), bounds).await {
            Ok(Gathered { bytes, crc32c, lease }) => (Arc::new(bytes), crc32c, lease),
            Err(BodyFault::Gone) => return,
            Err(BodyFault::Refused(problem)) => return wire.respond(|reply| respond::refuse(&problem, reply)),
        };
        let deadline = self.store.deadline(value.len());
        let op = |condition| {
            let (value, metadata) = (Arc::clone(&value), metadata.clone());
            StoreOp::Set(SetValue { value, value_crc32c, metadata, condition, ttl_ms, no_store })
        };
        let response = match depends {
            Depends::Store(condition) => Ok(self.store.ask(key, op(condition), deadline).await),
            Depends::Read => self.weigh(head, key, op).await,
        };
        reclaim(&self.store.reactor, value, Some(lease)).await;
        self.respond_written(key, response, wire);
    }

    /// Removes the key.
    pub(super) async fn delete<W: Wire>(&self, head: &RequestHead<'_>, key: &Key, wire: &mut W) {
        let response = match write::depends(head) {
            Err(problem) => Err(problem),
            Ok(Depends::Store(condition)) => {
                Ok(self.store.ask(key, StoreOp::Delete { condition }, self.store.deadline(0)).await)
            }
            Ok(Depends::Read) => self.weigh(head, key, |condition| StoreOp::Delete { condition }).await,
        };
        self.respond_written(key, response, wire);
    }

    /// Reads the current version, weighs the conditions, and writes if it is still the current one.
    async fn weigh(
        &self,
        head: &RequestHead<'_>,
        key: &Key,
        op: impl Fn(Condition) -> StoreOp,
    ) -> Result<StoreResponse, Problem<'static>> {
        let deadline = self.store.deadline(key.policy.value_bytes_max);
        for _ in 0..WEIGHINGS_MAX {
            let read = self.store.ask(key, StoreOp::Inspect { fresh: true }, deadline).await;
            let current = match &read.outcome {
                Outcome::Found(found) => Some(found.version.bits()),
                Outcome::Absent => None,
                _ => return Ok(read),
            };
            let Some(condition) = write::weigh(head, current)? else {
                return Ok(StoreResponse { outcome: Outcome::NotApplied, ..read });
            };
            let response = self.store.ask(key, op(condition), deadline).await;
            if !matches!(response.outcome, Outcome::NotApplied) {
                return Ok(response);
            }
        }
        Ok(StoreResponse::refused(Refusal::Busy))
    }

    fn respond_written<W: Wire>(&self, key: &Key, response: Result<StoreResponse, Problem<'static>>, wire: &mut W) {
        let response = match response {
            Ok(response) => response,
            Err(problem) => return wire.respond(|reply| respond::refuse(&problem, reply)),
        };
        let cache_status = match response.source {
            Source::Shard => None,
            Source::Node { .. } => self.forward_status(key, response.source, ForwardReason::Method),
        };
        let head = |status| ResponseHead { cache_status, ..ResponseHead::new(status) };
        let origin = match (Self::node_origin(response.source, ForwardReason::Method), &response.outcome) {
            (Some(node), _) => node,
            (None, Outcome::Refused(_)) => ResponseOrigin::Nobody,
            (None, _) => ResponseOrigin::Written(self.keeper(key)),
        };
        wire.respond(|reply| {
            reply.note_origin(origin);
            match response.outcome {
                Outcome::Stored { version, replaced } => {
                    let status = if replaced { Status::NoContent } else { Status::Created };
                    let content_length = (!replaced).then_some(0);
                    let mut room = TagRoom::new();
                    let etag = Some(tag_of(version.bits(), &mut room));
                    reply.head(ResponseHead { etag, content_length, ..head(status) });
                }
                Outcome::Deleted => reply.head(head(Status::NoContent)),
                Outcome::NotApplied => {
                    let detail = "the condition of If-Match or If-None-Match does not hold; nothing was changed";
                    let status = Status::PreconditionFailed;
                    reply.problem(&Problem { limit: None, status, slug: "precondition-failed", detail }, head(status));
                }
                Outcome::Refused(refusal) => respond::refusal(refusal, cache_status, reply),
                Outcome::Absent | Outcome::Found(_) => respond::absent(cache_status, reply),
            }
        });
    }
}
