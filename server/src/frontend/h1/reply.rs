//! Writing a response as HTTP/1.
//!
//! **Invariants**: the last response of a connection says so.

use corelane_http::Method;
use corelane_http::h1::server::ResponseForm;
use corelane_http::problem::Problem;
use corelane_http::response::ResponseHead;
use reactor::SharedBytes;

use crate::exchange::Reply;
use crate::frontend::responder::Responder;

/// A response on its way into a connection's send buffer.
pub(crate) struct H1Reply<'a> {
    pub(super) responder: &'a Responder,
    pub(super) form: ResponseForm,
    out: &'a mut Vec<u8>,
    /// What is sent in place behind `out`.
    lent: &'a mut Vec<SharedBytes>,
}

impl<'a> H1Reply<'a> {
    #[inline(always)]
    pub(super) fn new(
        responder: &'a Responder,
        form: ResponseForm,
        out: &'a mut Vec<u8>,
        lent: &'a mut Vec<SharedBytes>,
    ) -> Self {
        H1Reply { responder, form, out, lent }
    }

    /// The same response, for somebody who writes a part of it.
    pub(super) fn reborrow(&mut self) -> H1Reply<'_> {
        H1Reply { responder: self.responder, form: self.form, out: &mut *self.out, lent: &mut *self.lent }
    }
}

impl Reply for H1Reply<'_> {
    #[inline(always)]
    fn head(&mut self, head: ResponseHead<'_>) {
        let head = ResponseHead { connection: self.form.connection, ..head };
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
        self.responder.problem(problem, head, self.form.method != Method::Head, self);
    }
}
