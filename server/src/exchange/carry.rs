//! Carrying an exchange through that takes more than one poll.
//!
//! **Not** on the hit path: it may allocate and wait.
//!
//! **Invariants**: an exchange writes one response, unless its client is gone.

use corelane_http::request::{OwnedHead, RequestHead};

use super::Wire;
use crate::edge::metrics::RouteKind;
use crate::services::Services;
use crate::services::kv::plan::KvPlan;

/// What is to be done for a request, by which service.
pub(crate) enum Plan {
    Kv(KvPlan),
}

/// A request under way, with its own copy of its head.
pub(crate) struct Exchange {
    head: OwnedHead,
    plan: Plan,
}

impl Exchange {
    /// What its time is counted under.
    pub(crate) fn route(&self) -> RouteKind {
        match self.plan {
            Plan::Kv(KvPlan::Read(_)) => RouteKind::Read,
            Plan::Kv(KvPlan::Put(_) | KvPlan::Delete(_)) => RouteKind::Write,
        }
    }

    /// Keeps the head: what it lay in is used for the next bytes.
    pub(crate) fn new(head: &RequestHead<'_>, plan: Plan) -> Self {
        Exchange { head: head.into_owned(), plan }
    }
}

/// Carries an exchange to its end.
pub(crate) async fn carry<W: Wire>(services: &Services, exchange: Exchange, wire: &mut W) {
    let Exchange { head, plan } = exchange;
    match plan {
        Plan::Kv(plan) => services.kv.carry(&head.head(), plan, wire).await,
    }
}
