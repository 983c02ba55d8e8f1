//! What a poll writes a response to.

use corelane_http::problem::Problem;
use corelane_http::response::ResponseHead;
use reactor::SharedBytes;

use super::origin::ResponseOrigin;

/// The response to one request, as a service writes it: one head, then the bytes that the head announced.
///
/// Implementations add what belongs to the protocol and the server (the date, what becomes of the connection), and count
/// the response.
pub(crate) trait Reply {
    /// Says where the response comes from, before its head, to those who record it.
    #[inline(always)]
    fn note_origin(&mut self, origin: ResponseOrigin) {
        let _ = origin;
    }

    /// Writes the head.
    // By value: where its fields are known, encoding it is their few copies.
    fn head(&mut self, head: ResponseHead<'_>);

    /// Appends bytes of the body by copying them.
    fn copy(&mut self, bytes: &[u8]);

    /// Appends bytes of the body that are sent in place. Nothing is copied behind them.
    fn lend(&mut self, bytes: SharedBytes);

    /// Writes an error, head and body; `head` says what is to be said beside the problem. The response to HEAD has no
    /// body.
    fn problem(&mut self, problem: &Problem<'_>, head: ResponseHead<'_>);
}
