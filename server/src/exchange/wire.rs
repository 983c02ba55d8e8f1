//! What an exchange awaits: the request's body, and the place for its response.

use corelane_http::problem::Problem;

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
}

/// Why a body did not arrive.
#[derive(Debug)]
pub(crate) enum BodyFault {
    /// The client is gone.
    Gone,
    /// The body is refused with this.
    Refused(Problem<'static>),
}
