//! The key-value service: `/v1/kv/{keyspace}/{key}`.
//!
//! ```text
//!   begin_read ──▶ hit (own shard) ─┬─▶ response                      respond: heads of responses
//!              └─▶ remote (another) ┘                                 read, write: conditions, ranges, what is refused
//!   begin_write ─┐   absent, large, being changed, no-cache
//!                └▶ Later(plan) ──▶ carry: fetch (reads), change (PUT, DELETE) ──▶ store ──▶ response
//! ```
//!
//! **Not** aware of connections, or of how values are kept: [`store`] is the one file that knows.
//!
//! **Invariants**: what is answered in the poll allocates nothing; no borrow of a shard or of the scratch is held across
//! an await.
//!
//! **Source**: docs/specification.md; RFC 9110 sections 9, 13 and 14.

mod ahead;
mod change;
mod fetch;
mod hit;
pub(crate) mod kept;
mod key;
pub(crate) mod path;
pub(crate) mod plan;
mod read;
mod remote;
mod respond;
mod scratch;
pub(crate) mod store;
mod value;
mod version_tag;
mod write;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use corelane_http::request::RequestHead;
use shardstore::cache::LOOKAHEAD;
use shardstore::key::KeyHash;
use store_runtime::budget::Budget;

use crate::exchange::Wire;
use crate::exchange::memory::ConnectionMemory;
use crate::exchange::outbound::OutboundBuffers;
use crate::metrics::CoreMetrics;
use crate::snapshot::CurrentSnapshot;
use plan::KvPlan;
use scratch::Scratch;
use store::KvStore;

/// The key-value service of a core.
pub(crate) struct KvService {
    store: KvStore,
    snapshot: Rc<CurrentSnapshot>,
    scratch: RefCell<Scratch>,
    /// Of keys that are about to be looked up.
    hashes_ahead: RefCell<Vec<KeyHash>>,
    /// For request bodies, until the store has answered.
    bodies: Rc<Budget>,
    /// For values that clients have not taken yet.
    outbound: OutboundBuffers,
    metrics: Arc<CoreMetrics>,
}

impl KvService {
    pub(crate) fn new(store: KvStore, memory: &ConnectionMemory, metrics: &Arc<CoreMetrics>) -> Self {
        KvService {
            snapshot: Rc::clone(&store.snapshot),
            store,
            scratch: RefCell::new(Scratch::new()),
            hashes_ahead: RefCell::new(Vec::with_capacity(LOOKAHEAD)),
            bodies: Rc::clone(&memory.inbound),
            outbound: OutboundBuffers::new(&memory.outbound, metrics),
            metrics: Arc::clone(metrics),
        }
    }

    /// Whether responses say where they came from.
    #[inline(always)]
    fn cache_status(&self) -> bool {
        self.snapshot.get().settings.cache_status
    }

    /// Carries out what was planned for a request.
    pub(crate) async fn carry<W: Wire>(&self, head: &RequestHead<'_>, plan: KvPlan, wire: &mut W) {
        match plan {
            KvPlan::Read(key) => self.fetch(head, &key, wire).await,
            KvPlan::Put(key) => self.put(head, &key, wire).await,
            KvPlan::Delete(key) => self.delete(head, &key, wire).await,
        }
    }
}
