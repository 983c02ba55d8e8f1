//! Which service a request is for, and in which normal form every part of the product sees it.
//!
//! ```text
//!  source (plain structs, with the place of each value) ─▶ compile ─▶ RouteTable, or every error at once
//!  host, target ─▶ normal ─▶ RouteTable::route ─▶ RouteMatch: a route and its parameters
//! ```
//!
//! **Not**: files, TOML, sockets, clocks, serving; the caller writes what a route says.
//!
//! **Invariants**: routing takes no allocation; the result does not depend on the order of routes; routes, cache keys and
//! origins see the same bytes, those of [`normal`].
//!
//! **Source**: docs/proxy.md; RFC 3986 sections 5.2.4 and 6.2 (normal form), RFC 9110 section 4.2.3.
#![forbid(unsafe_code)]

mod answer;
mod compile;
mod condition;
mod explain;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod normal;
mod pattern;
mod redirect;
pub mod source;
mod table;
#[cfg(test)]
mod tests;
mod tree;

pub use answer::{ANSWER_BYTES_MAX, FixedAnswer};
pub use compile::{FIELD_CONDITIONS_MAX, HOSTS_OF_ROUTE_MAX, ROUTES_MAX, ROUTES_OF_PATH_MAX, SERVICES_MAX, compile};
pub use condition::UnmetCondition;
pub use explain::{ExplainedRoute, Explanation, KV_PREFIX, QuestionFault, RouteOutcome, RouteQuestion, explain};
pub use fault::{FaultReason, SourceFault};
pub use pattern::{PATH_PARAMETERS_MAX, PATH_SEGMENTS_MAX};
pub use redirect::{HostMissing, RedirectInput, RedirectTemplate};
pub use table::{
    CandidateHost, CompiledRoute, RouteCandidate, RouteMatch, RouteRequest, RouteTable, RouteTarget, Service,
    ServiceKind,
};
pub use tree::PathParameters;
