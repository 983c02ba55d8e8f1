//! From an exchange to the service that serves it.
//!
//! **Not** for anything that waits, in [`begin`]: that becomes a [`Plan`]; [`carry`] may allocate and wait.
//!
//! **Invariants**: the path of a hit: no allocation, lock, await or log; an exchange writes one response, unless its client
//! is gone.

use corelane_gateway::normal::RequestScheme;
use corelane_http::request::{OwnedHead, RequestHead};

use super::challenge::ChallengeService;
use super::early;
use super::gateway::GatewayService;
use super::kv::KvService;
use super::kv::plan::KvPlan;
use super::router::{self, Route};
use super::status::FixedResponse;
use crate::exchange::{Begun, Reply, Wire};
use crate::metrics::RouteKind;

/// The services of a core.
pub(crate) struct Services {
    pub(crate) kv: KvService,
    pub(crate) challenge: ChallengeService,
    pub(crate) gateway: GatewayService,
}

/// What is to be done for a request, by which service.
pub(crate) enum Plan {
    Kv(KvPlan),
    /// Nothing: it came too early.
    TooEarly,
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
            Plan::Kv(KvPlan::Put(_) | KvPlan::Delete(_)) | Plan::TooEarly => RouteKind::Write,
        }
    }

    /// Keeps the head: what it lay in is used for the next bytes.
    pub(crate) fn new(head: &RequestHead<'_>, plan: Plan) -> Self {
        Exchange { head: head.into_owned(), plan }
    }
}

/// Whether requests that have come at once should be looked at ahead of their turn.
#[inline(always)]
pub(crate) fn pays_look_ahead(services: &Services) -> bool {
    services.kv.pays_look_ahead()
}

/// The keyspace and the key that a request names, as it was sent.
pub(crate) fn key_of<'a>(head: &RequestHead<'a>) -> Option<(&'a [u8], &'a [u8])> {
    match router::route(head) {
        Route::Read { keyspace, raw_key } | Route::Write { keyspace, raw_key } => Some((keyspace, raw_key)),
        Route::Challenge { .. } | Route::Status(_) => None,
    }
}

/// Notes what a request is about to look up, before those that came ahead of it are served.
#[inline(always)]
pub(crate) fn look_ahead(services: &Services, head: &RequestHead<'_>) {
    if let Route::Read { keyspace, raw_key } = router::route(head) {
        services.kv.look_ahead(head, (keyspace, raw_key));
    }
}

/// Asks for the memory of all that was noted.
#[inline(always)]
pub(crate) fn prefetch(services: &Services) {
    services.kv.prefetch();
}

/// Responds to a request, or plans how to. `scheme` says how its client speaks to the listener.
#[inline(always)]
pub(crate) fn begin<R: Reply>(
    services: &Services,
    head: &RequestHead<'_>,
    scheme: impl Fn() -> RequestScheme,
    reply: &mut R,
) -> Begun<Plan> {
    if services.gateway.narrows_kv() && services.gateway.hides_kv(head, scheme()) {
        services.gateway.serve(head, &FixedResponse::UnknownPath, scheme(), reply);
        return Begun::Done;
    }
    match router::route(head) {
        Route::Read { keyspace, raw_key } => services.kv.begin_read(head, (keyspace, raw_key), reply).map(Plan::Kv),
        Route::Write { keyspace, raw_key } => services.kv.begin_write(head, (keyspace, raw_key), reply).map(Plan::Kv),
        Route::Challenge { token } => {
            if !services.challenge.serve(token, head.method(), reply) {
                services.gateway.serve(head, &FixedResponse::UnknownPath, scheme(), reply);
            }
            Begun::Done
        }
        Route::Status(page) => {
            services.gateway.serve(head, &page, scheme(), reply);
            Begun::Done
        }
    }
}

/// Carries an exchange to its end.
pub(crate) async fn carry<W: Wire>(services: &Services, exchange: Exchange, wire: &mut W) {
    let Exchange { head, plan } = exchange;
    match plan {
        Plan::Kv(plan) => services.kv.carry(&head.head(), plan, wire).await,
        Plan::TooEarly => early::refuse(&head.head(), wire).await,
    }
}
