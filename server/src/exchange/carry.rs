//! Requests that take more than one poll: writes, and reads that this core's shard cannot answer.
//!
//! **Not** on the hit path: it may allocate and wait.
//!
//! **Invariants**: the answer is written before the next request of the connection is looked at; a request that was
//! refused before its body was read ends the connection.

use corelane_http::cache_control::CacheControl;
use corelane_http::cache_status::{CacheStatus, ForwardReason, HitSource};
use corelane_http::entity_tag::TagRoom;
use corelane_http::h1::CONTINUE;
use corelane_http::h1::request::{Parsed, Resume, parse};
use corelane_http::problem::Problem;
use corelane_http::request::{Body, Head, Target};
use corelane_http::response::ResponseHead;
use corelane_http::{Method, Status};
use reactor::Instant;
use shardstore::key::KeyHash;
use shardstore::version::Condition;
use store_runtime::request::{Outcome, Refusal, SetValue, Source, StoreOp, StoreRequest, StoreResponse, StoredValue};

use crate::exchange::reply::Context;
use crate::frontend::h1::body::{BodyFault, Gathered};
use crate::frontend::h1::connection::Session;
use crate::services::kv::hit::{self, Decided, Facts};
use crate::services::kv::keyspace::Policy;
use crate::services::kv::path::Path;
use crate::services::kv::value::{self, COPY_BYTES_MAX};
use crate::services::kv::version_tag::tag_of;
use crate::services::kv::write::{self, Depends};
use crate::store::route;

/// Writes with conditions that must be weighed first are tried this often when others write meanwhile.
const WEIGHINGS_MAX: usize = 4;

/// The key a slow request is about.
struct Key {
    stored: Box<[u8]>,
    hash: KeyHash,
    policy: Policy,
}

impl Session {
    /// Serves the request whose head is at the start of the input; false when the connection ends after its answer.
    pub(crate) async fn serve_slow(&mut self, head_bytes: usize) -> bool {
        self.core.metrics.requests.increment();
        let copy = self.input.bytes()[..head_bytes].to_vec();
        self.input.consume(head_bytes);
        let mut resume = Resume::default();
        let Ok(Parsed::Complete(head)) = parse(&copy, &self.core.snapshot().head_limits, &mut resume) else {
            unreachable!("the same bytes were a complete head when they lay in the input")
        };
        let context = Context::of(&head, self.core.draining.get());
        let key = match self.key(&head) {
            Ok(key) => key,
            Err(problem) => return self.refuse(&head, context, &problem),
        };
        let stays = match head.method() {
            Method::Put => self.put(&head, context, key).await,
            Method::Delete => self.delete(&head, context, key).await,
            _ => self.get(&head, context, key).await,
        };
        stays && self.core.renew(context).stays()
    }

    fn key(&self, head: &Head<'_>) -> Result<Key, Problem<'static>> {
        let (Target::Origin { path, .. } | Target::Absolute { path, .. }) = head.target() else {
            unreachable!("only requests for a key come here")
        };
        let Path::Key { keyspace, raw_key } = Path::parse(path) else {
            unreachable!("only requests for a key come here")
        };
        let hash = hit::stored_key(&self.core, keyspace, raw_key, hit::Spelling::of(head))?;
        let policy = self.core.snapshot().keyspaces.policy(keyspace).expect("found in this keyspace, in the same poll");
        Ok(Key { stored: self.core.scratch.borrow().key.as_slice().into(), hash, policy })
    }

    /// Answers with an error; the connection can go on only if no body follows.
    fn refuse(&mut self, head: &Head<'_>, context: Context, problem: &Problem<'_>) -> bool {
        let stays = head.body() == Body::None;
        let context = if stays { context } else { context.as_last() };
        self.core.write_problem(context, problem, &mut self.connection.write());
        stays && context.stays()
    }

    /// Asks the store. A request has one deadline, however often it asks.
    async fn ask(&self, key: &Key, op: StoreOp, deadline: Instant) -> StoreResponse {
        route::serve(&self.core, StoreRequest { key: key.stored.clone(), hash: key.hash, op, deadline }).await
    }

    // ---- reads ----

    async fn get(&mut self, head: &Head<'_>, context: Context, key: Key) -> bool {
        let fresh = match CacheControl::parse(head.cache_control()) {
            Ok(asked) => asked.no_cache,
            // A directive nobody understands does not stop a read (RFC 9111, section 5.2).
            Err(_) => false,
        };
        let deadline = self.core.request_deadline(key.policy.value_bytes_max);
        let answer = self.ask(&key, StoreOp::Get { fresh }, deadline).await;
        let context = self.core.renew(context);
        let cache_status =
            self.cache_status(&key, answer.source, if fresh { ForwardReason::Request } else { ForwardReason::Miss });
        match answer.outcome {
            Outcome::Found(found) => {
                self.count_read(&key, answer.source);
                self.write_found(head, context, &found, cache_status);
            }
            Outcome::Refused(refusal) => {
                // What this process refused without asking a node was neither hit nor forwarded.
                let cache_status = cache_status.filter(|_| answer.source != Source::Shard);
                self.core.write_refusal(context, refusal, cache_status, &mut self.connection.write());
            }
            _ => {
                let status = if answer.source == Source::Shard { Some(CacheStatus::Miss) } else { cache_status };
                let status = status.filter(|_| self.core.snapshot().settings.cache_status);
                self.core.metrics.absent.increment();
                hit::write_absent(&self.core, context, status, &mut self.connection.write());
            }
        }
        true
    }

    fn count_read(&self, key: &Key, source: Source) {
        let metrics = &self.core.metrics;
        match source {
            Source::Node { .. } => metrics.reads_node.increment(),
            Source::Shard if self.is_own(key) => metrics.hits_own.increment(),
            Source::Shard => metrics.hits_core.increment(),
        }
    }

    fn is_own(&self, key: &Key) -> bool {
        self.core.store.cores().owns(key.hash)
    }

    fn write_found(
        &mut self,
        head: &Head<'_>,
        context: Context,
        found: &StoredValue,
        cache_status: Option<CacheStatus>,
    ) {
        let facts = Facts {
            version: found.version.bits(),
            expire_ms: found.expire_ms,
            content_type: &found.metadata,
            value_bytes: found.value.len(),
            cache_status,
        };
        let decided = Decided::of(head, context, &facts);
        let mut out = self.connection.write();
        match decided.body() {
            Some(part) if part.len() > COPY_BYTES_MAX => {
                // Whether the value can be sent is known before anything of its answer is written or counted.
                let Some(shared) = value::share(&self.core, &found.value, part) else {
                    let forwarded = cache_status.filter(|status| matches!(status, CacheStatus::Forwarded { .. }));
                    self.core.write_refusal(context, Refusal::Busy, forwarded, &mut out);
                    return;
                };
                hit::write_found(&self.core, context, &facts, &decided, &mut out);
                drop(out);
                self.connection.write_shared(shared);
            }
            Some(part) => {
                hit::write_found(&self.core, context, &facts, &decided, &mut out);
                out.extend_from_slice(&found.value[part]);
            }
            None => hit::write_found(&self.core, context, &facts, &decided, &mut out),
        }
    }

    fn cache_status(&self, key: &Key, source: Source, reason: ForwardReason) -> Option<CacheStatus> {
        if !self.core.snapshot().settings.cache_status {
            return None;
        }
        let own = self.is_own(key);
        Some(match source {
            Source::Shard => CacheStatus::Hit(if own { HitSource::Own } else { HitSource::Core }),
            Source::Node { id, collapsed } => CacheStatus::Forwarded { reason, node: id, collapsed },
        })
    }

    // ---- writes ----

    async fn put(&mut self, head: &Head<'_>, context: Context, key: Key) -> bool {
        let plan = write::check_body(head, key.policy)
            .and_then(|()| Ok((write::ttl_ms(head, key.policy)?, write::metadata(head)?, write::depends(head)?)));
        let (ttl_ms, metadata, depends) = match plan {
            Ok(plan) => plan,
            Err(problem) => return self.refuse(head, context, &problem),
        };
        if head.expect_continue() && self.input.is_empty() {
            self.connection.write().extend_from_slice(CONTINUE);
        }
        // The memory counts until the store has answered: until then the value waits for it.
        let (value, _lease) = match self.read_body(head.body(), key.policy.value_bytes_max).await {
            Ok(Gathered { bytes, lease }) => (bytes, lease),
            Err(BodyFault::Gone) => return false,
            Err(BodyFault::Refused(problem)) => {
                if problem.status == Status::BadRequest {
                    self.core.metrics.malformed.increment();
                }
                self.core.write_problem(Context::closing(), &problem, &mut self.connection.write());
                return false;
            }
        };
        let op =
            |condition| StoreOp::Set(SetValue { value: value.clone(), metadata: metadata.clone(), condition, ttl_ms });
        let answer = match depends {
            // The usual case moves the value instead of copying it.
            Depends::Store(condition) => {
                let deadline = self.core.request_deadline(value.len());
                self.ask(&key, StoreOp::Set(SetValue { value, metadata, condition, ttl_ms }), deadline).await
            }
            Depends::Read => match self.weigh(head, &key, op).await {
                Ok(answer) => answer,
                Err(problem) => return self.refuse_after_body(context, &problem),
            },
        };
        self.write_written(context, &key, &answer);
        true
    }

    async fn delete(&mut self, head: &Head<'_>, context: Context, key: Key) -> bool {
        let answer = match write::depends(head) {
            Err(problem) => return self.refuse_after_body(context, &problem),
            Ok(Depends::Store(condition)) => {
                self.ask(&key, StoreOp::Delete { condition }, self.core.request_deadline(0)).await
            }
            Ok(Depends::Read) => match self.weigh(head, &key, |condition| StoreOp::Delete { condition }).await {
                Ok(answer) => answer,
                Err(problem) => return self.refuse_after_body(context, &problem),
            },
        };
        self.write_written(context, &key, &answer);
        true
    }

    fn refuse_after_body(&mut self, context: Context, problem: &Problem<'_>) -> bool {
        self.core.write_problem(self.core.renew(context), problem, &mut self.connection.write());
        true
    }

    /// Reads the current version, weighs the conditions, and writes if it is still the current one.
    async fn weigh(
        &self,
        head: &Head<'_>,
        key: &Key,
        op: impl Fn(Condition) -> StoreOp,
    ) -> Result<StoreResponse, Problem<'static>> {
        // What is read to be weighed may be as large as what is written.
        let deadline = self.core.request_deadline(key.policy.value_bytes_max);
        for _ in 0..WEIGHINGS_MAX {
            let read = self.ask(key, StoreOp::Get { fresh: true }, deadline).await;
            let current = match &read.outcome {
                Outcome::Found(found) => Some(found.version.bits()),
                Outcome::Absent => None,
                _ => return Ok(read),
            };
            let Some(condition) = write::weigh(head, current)? else {
                return Ok(StoreResponse { outcome: Outcome::NotApplied, ..read });
            };
            let answer = self.ask(key, op(condition), deadline).await;
            if !matches!(answer.outcome, Outcome::NotApplied) {
                return Ok(answer);
            }
        }
        Ok(StoreResponse::refused(Refusal::Busy))
    }

    fn write_written(&mut self, context: Context, key: &Key, answer: &StoreResponse) {
        let cache_status = match answer.source {
            Source::Shard => None,
            Source::Node { .. } => self.cache_status(key, answer.source, ForwardReason::Method),
        };
        let core = &self.core;
        let context = core.renew(context);
        let mut out = self.connection.write();
        let head = |status| ResponseHead { connection: context.connection, cache_status, ..ResponseHead::new(status) };
        match answer.outcome {
            Outcome::Stored { version, replaced } => {
                let status = if replaced { Status::NoContent } else { Status::Created };
                let content_length = (!replaced).then_some(0);
                let mut room = TagRoom::new();
                let etag = Some(tag_of(version.bits(), &mut room));
                core.write_head(&ResponseHead { etag, content_length, ..head(status) }, &mut out);
            }
            Outcome::Deleted => core.write_head(&head(Status::NoContent), &mut out),
            Outcome::NotApplied => {
                let detail = "the condition of If-Match or If-None-Match does not hold; nothing was changed";
                let problem = Problem { status: Status::PreconditionFailed, slug: "precondition-failed", detail };
                core.write_problem_with(context, &problem, head(problem.status), &mut out);
            }
            Outcome::Refused(refusal) => core.write_refusal(context, refusal, cache_status, &mut out),
            Outcome::Absent | Outcome::Found(_) => hit::write_absent(core, context, cache_status, &mut out),
        }
    }
}
