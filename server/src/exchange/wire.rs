//! What an exchange awaits: the request's body, and the place for its response.

use corelane_http::problem::Problem;

use reactor::SharedBytes;

use super::Reply;

/// The way between a client and the exchange that serves one of its requests.
pub(crate) trait Wire {
    /// Writes the response.
    type Reply<'a>: Reply;

    /// Has the response written. Without an await in between, so that what is known about the connection when the head
    /// is written (that the server drains, say) holds for all of it.
    fn respond<T>(&mut self, write: impl FnOnce(&mut Self::Reply<'_>) -> T) -> T;

    /// Sends `100 Continue`, unless the body has begun to arrive.
    fn invite_body(&mut self);

    /// The next bytes of the request's body, without its framing; `None` after the last.
    ///
    /// # Errors
    /// The client's: see [`BodyFault`]. There is no more body after an error, and no more request.
    async fn body(&mut self) -> Result<Option<&[u8]>, BodyFault>;

    /// Waits until the client has taken so much of a response whose head is written that at most `bytes` of it are left.
    ///
    /// # Errors
    /// The client's: it is gone, or takes nothing. Nothing more can be sent.
    async fn room(&mut self, bytes: usize) -> Result<(), ClientGone>;

    /// Sends more bytes of the response's body, in place.
    fn extend(&mut self, bytes: SharedBytes);

    /// Ends a response of which bytes are missing, so that the client learns that.
    fn cut(&mut self);
}

/// Nobody takes the response any more.
#[derive(Debug)]
pub(crate) struct ClientGone;

/// Why a body did not arrive.
#[derive(Debug)]
pub(crate) enum BodyFault {
    /// The client is gone.
    Gone,
    /// The body is refused with this.
    Refused(Problem<'static>),
}
