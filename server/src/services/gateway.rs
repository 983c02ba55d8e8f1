//! Requests that routes are for: fixed answers and redirects.
//!
//! ```text
//!  head ─▶ normal form ─▶ RouteTable::route ─▶ answer | redirect | 404
//! ```
//!
//! **Not** for the KV API, whose paths are its own on the hosts that it is on, whatever routes say.
//!
//! **Invariants**: everything is answered in the poll, with memory that this service keeps; a request that has no normal
//! form reaches no route.
//!
//! **Source**: docs/proxy.md.

use std::cell::RefCell;
use std::rc::Rc;

use corelane_gateway::normal::{self, NormalAuthority, NormalError, RequestScheme};
use corelane_gateway::{
    FixedAnswer, KV_PREFIX, RedirectInput, RedirectTemplate, RouteMatch, RouteRequest, RouteTarget, ServiceKind,
};
use corelane_http::field::{FieldLine, FieldValue};
use corelane_http::problem::Problem;
use corelane_http::request::{RequestHead, RequestTarget};
use corelane_http::response::ResponseHead;
use corelane_http::{Method, Status};

use super::status::{self, FixedResponse};
use crate::exchange::Reply;
use crate::snapshot::CurrentSnapshot;

/// The routes of a core.
pub(crate) struct GatewayService {
    snapshot: Rc<CurrentSnapshot>,
    scratch: RefCell<GatewayScratch>,
}

/// What normal forms and targets are written to.
#[derive(Default)]
struct GatewayScratch {
    host: Vec<u8>,
    path: Vec<u8>,
    location: Vec<u8>,
}

impl GatewayService {
    pub(crate) fn new(snapshot: &Rc<CurrentSnapshot>) -> Self {
        GatewayService { snapshot: Rc::clone(snapshot), scratch: RefCell::default() }
    }

    /// Whether the KV API is on some hosts only.
    #[inline(always)]
    pub(super) fn narrows_kv(&self) -> bool {
        self.snapshot.narrows_kv()
    }

    /// Whether a request has a path of the KV API, and a host that the API is not on.
    #[inline(never)]
    pub(super) fn hides_kv(&self, head: &RequestHead<'_>, scheme: RequestScheme) -> bool {
        let Some(TargetParts { authority, path, .. }) = parts_of(head) else { return false };
        path.starts_with(KV_PREFIX) && !self.has_kv_on(authority, scheme)
    }

    fn has_kv_on(&self, authority: &[u8], scheme: RequestScheme) -> bool {
        if !self.narrows_kv() {
            return true;
        }
        let GatewayScratch { host, .. } = &mut *self.scratch.borrow_mut();
        let normal = normal::authority(authority, scheme, host);
        normal.is_ok_and(|normal| self.snapshot.get().routes.has_kv_on(normal.host))
    }

    /// Responds to a request that no key is asked of; `page` is what it gets where no route could be for it.
    #[inline(never)]
    pub(super) fn serve<R: Reply>(
        &self,
        head: &RequestHead<'_>,
        page: &FixedResponse,
        scheme: RequestScheme,
        reply: &mut R,
    ) {
        let snapshot = self.snapshot.get();
        let is_kv =
            |parts: &TargetParts<'_>| parts.path.starts_with(KV_PREFIX) && self.has_kv_on(parts.authority, scheme);
        let parts = parts_of(head).filter(|parts| !snapshot.routes.is_empty() && !is_kv(parts));
        let Some(TargetParts { authority, path: raw_path, query }) = parts else {
            return status::serve(page, head.method(), reply);
        };
        let GatewayScratch { host, path, location } = &mut *self.scratch.borrow_mut();
        let (host, path) = match normal_forms((authority, raw_path), scheme, (host, path)) {
            Ok(normal) => normal,
            Err(error) => {
                let detail = error.to_string();
                return refuse(Status::BadRequest, "no-normal-form", &detail, reply);
            }
        };
        let request = RouteRequest { scheme, host, path, method: head.method_text(), fields: head.fields() };
        match snapshot.routes.route(&request) {
            None => refuse(Status::NotFound, "no-route", "no route is for this request", reply),
            Some(RouteMatch { target: RouteTarget::Service(service), .. }) => {
                let ServiceKind::Answer(fixed) = &service.kind;
                answer(fixed, head.method(), reply);
            }
            Some(RouteMatch { target: RouteTarget::Redirect(template), parameters, .. }) => {
                location.clear();
                redirect(template, &RedirectInput { host, path, query, parameters }, location, reply);
            }
        }
    }
}

/// A target that names a path, taken apart; as it was sent.
struct TargetParts<'a> {
    authority: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

/// The parts of a target; `None` for the forms that name no path.
fn parts_of<'a>(head: &RequestHead<'a>) -> Option<TargetParts<'a>> {
    match head.target() {
        RequestTarget::Origin { path, query } => {
            Some(TargetParts { authority: head.host().unwrap_or_default(), path, query })
        }
        RequestTarget::Absolute { path: b"*", .. } | RequestTarget::Asterisk | RequestTarget::Authority(_) => None,
        // An absolute form without a path means its root (RFC 9110, section 4.2.3).
        RequestTarget::Absolute { authority, path: b"", query } => Some(TargetParts { authority, path: b"/", query }),
        RequestTarget::Absolute { authority, path, query } => Some(TargetParts { authority, path, query }),
    }
}

fn normal_forms<'a>(
    (authority, path): (&'a [u8], &'a [u8]),
    scheme: RequestScheme,
    (host_scratch, path_scratch): (&'a mut Vec<u8>, &'a mut Vec<u8>),
) -> Result<(&'a [u8], &'a [u8]), NormalError> {
    let NormalAuthority { host, .. } = normal::authority(authority, scheme, host_scratch)?;
    Ok((host, normal::path(path, path_scratch)?))
}

fn answer<R: Reply>(answer: &FixedAnswer, method: Method, reply: &mut R) {
    let head = ResponseHead {
        content_length: answer.status.has_body().then_some(answer.body.len() as u64),
        content_type: answer.content_type.and_then(|text| FieldValue::new(text.as_bytes())),
        retry_after_s: answer.retry_after_s,
        ..ResponseHead::new(answer.status)
    };
    let sends_body = head.sends_body(method);
    reply.head(head);
    if sends_body {
        reply.copy(&answer.body);
    }
}

fn redirect<R: Reply>(template: &RedirectTemplate, input: &RedirectInput<'_>, location: &mut Vec<u8>, reply: &mut R) {
    if let Err(error) = template.write(input, location) {
        return refuse(Status::BadRequest, "host-needed", &error.to_string(), reply);
    }
    let line = FieldLine::new(b"Location", location).expect("normal forms and queries hold no control bytes");
    reply.head(ResponseHead { content_length: Some(0), fields: &[line], ..ResponseHead::new(template.status()) });
}

fn refuse<R: Reply>(status: Status, slug: &'static str, detail: &str, reply: &mut R) {
    reply.problem(&Problem { limit: None, status, slug, detail }, ResponseHead::new(status));
}
