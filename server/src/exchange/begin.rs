//! The beginning of every exchange, within the poll that has parsed its head.
//!
//! **Not** for anything that waits: that becomes a [`Plan`].
//!
//! **Invariants**: the path of a hit: no allocation, lock, await or log.

use corelane_http::request::RequestHead;

use super::{Plan, Reply};
use crate::services::Services;
use crate::services::router::{self, Route};
use crate::services::status;

/// What became of a request in the poll that parsed it.
pub(crate) enum Begun {
    /// Its response is written.
    Done,
    /// Its response is written; bytes that are sent in place end it.
    Lent,
    /// The response needs more than this poll; nothing is written.
    Later(Plan),
}

/// Responds to a request, or plans how to.
#[inline(always)]
pub(crate) fn begin<R: Reply>(services: &Services, head: &RequestHead<'_>, reply: &mut R) -> Begun {
    match router::route(head) {
        Route::Read { keyspace, raw_key } => services.kv.begin_read(head, (keyspace, raw_key), reply),
        Route::Write { keyspace, raw_key } => services.kv.begin_write(head, (keyspace, raw_key), reply),
        Route::Status(page) => {
            status::serve(&page, head.method(), reply);
            Begun::Done
        }
    }
}
