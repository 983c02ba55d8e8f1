//! Writing a response as HTTP/1.
//!
//! **Invariants**: the last response of a connection says so.

use corelane_http::Method;
use corelane_http::problem::Problem;
use corelane_http::request::{HttpVersion, RequestHead};
use corelane_http::response::{ConnectionOption, ResponseHead};
use reactor::SharedBytes;

use crate::exchange::Reply;
use crate::frontend::responder::Responder;

/// What the form of a response depends on beside what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) method: Method,
    pub(super) connection: ConnectionOption,
}

impl Context {
    /// Of a request; `last`: the connection ends with this response.
    #[inline]
    pub(super) fn of(head: &RequestHead<'_>, last: bool) -> Self {
        let stays = head.keep_alive() && !last;
        let connection = if stays { ConnectionOption::open_for(head.version()) } else { ConnectionOption::Close };
        Context { method: head.method(), connection }
    }

    /// Of a request that could not be read.
    pub(super) fn closing() -> Self {
        debug_assert_eq!(ConnectionOption::open_for(HttpVersion::Http11), ConnectionOption::Open);
        Context { method: Method::Get, connection: ConnectionOption::Close }
    }

    /// The same request, but nothing after it on the connection is read.
    #[inline]
    pub(super) fn as_last(self) -> Self {
        Context { connection: ConnectionOption::Close, ..self }
    }

    #[inline]
    pub(super) fn stays(self) -> bool {
        self.connection != ConnectionOption::Close
    }
}

/// A response on its way into a connection's send buffer.
pub(crate) struct H1Reply<'a> {
    responder: &'a Responder,
    context: Context,
    out: &'a mut Vec<u8>,
    /// What is sent in place behind `out`.
    lent: &'a mut Vec<SharedBytes>,
}

impl<'a> H1Reply<'a> {
    #[inline(always)]
    pub(super) fn new(
        responder: &'a Responder,
        context: Context,
        out: &'a mut Vec<u8>,
        lent: &'a mut Vec<SharedBytes>,
    ) -> Self {
        H1Reply { responder, context, out, lent }
    }
}

impl Reply for H1Reply<'_> {
    #[inline(always)]
    fn head(&mut self, head: ResponseHead<'_>) {
        let head = ResponseHead { connection: self.context.connection, ..head };
        head.encode(&self.responder.begin(head.status), self.out);
    }

    #[inline(always)]
    fn copy(&mut self, bytes: &[u8]) {
        debug_assert!(self.lent.is_empty(), "what is lent comes last");
        self.out.extend_from_slice(bytes);
    }

    fn lend(&mut self, bytes: SharedBytes) {
        self.lent.push(bytes);
    }

    #[inline(never)]
    fn problem(&mut self, problem: &Problem<'_>, head: ResponseHead<'_>) {
        self.responder.problem(problem, head, self.context.method != Method::Head, self);
    }
}
