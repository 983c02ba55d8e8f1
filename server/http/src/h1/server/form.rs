//! What a response says of its connection, and so whether another request is read.
//!
//! **Not** what it says of the resource.
//! **Invariants**: a connection goes on only if its client wants that, if the server does, and if the end of the request is
//! known; the response says what becomes of it.
//! **Source**: RFC 9112 section 9.3 and 9.6.

use crate::Method;
use crate::request::{HttpVersion, RequestBody, RequestHead};
use crate::response::ConnectionOption;

/// What the form of a response depends on beside what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseForm {
    /// Of the request: a response to `HEAD` has no body.
    pub method: Method,
    /// What it says of the connection.
    pub connection: ConnectionOption,
}

impl ResponseForm {
    /// For a response to this request, once its body has been read; `is_last`: the server ends the connection with it. So does
    /// every response to `CONNECT`, which no server of ours grants: its client may have sent bytes of the tunnel already, and
    /// what those say is not the client's but whoever's it tunnels for.
    #[inline]
    #[must_use]
    pub fn of(head: &RequestHead<'_>, is_last: bool) -> Self {
        let stays = head.keep_alive() && !is_last && head.method() != Method::Connect;
        let connection = if stays { ConnectionOption::open_for(head.version()) } else { ConnectionOption::Close };
        Self { method: head.method(), connection }
    }

    /// For a response to a request that could not be read.
    #[must_use]
    pub fn closing() -> Self {
        debug_assert_eq!(ConnectionOption::open_for(HttpVersion::Http11), ConnectionOption::Open);
        Self { method: Method::Get, connection: ConnectionOption::Close }
    }

    /// For a response that is written before anything of the request's body was read: what follows a body that nobody has
    /// read cannot be told from it.
    #[inline]
    #[must_use]
    pub fn before(self, body: RequestBody) -> Self {
        if body == RequestBody::None { self } else { self.as_last() }
    }

    /// The same, but nothing after the request is read.
    #[inline]
    #[must_use]
    pub fn as_last(self) -> Self {
        Self { connection: ConnectionOption::Close, ..self }
    }

    /// Whether the connection goes on after the response.
    #[inline]
    #[must_use]
    pub fn stays(self) -> bool {
        self.connection != ConnectionOption::Close
    }
}
