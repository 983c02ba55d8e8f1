//! Where the response to an exchange comes from, for those who record it.
//!
//! **Not** what a client is told: that is `Cache-Status`, which an operator may turn off.

use corelane_http::cache_status::{ForwardReason, HitSource};

/// What was asked for a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ResponseOrigin {
    /// Nothing: it follows from the request, or the request was refused.
    #[default]
    Nobody,
    /// A shard of this process, which had the value.
    Hit(Keeper),
    /// A shard of this process, which is the authority and has no value.
    Absent(Keeper),
    /// A shard of this process, which is the authority, to be changed.
    Written(Keeper),
    /// A node.
    Node {
        /// Its id.
        id: u32,
        /// Why it was asked.
        reason: ForwardReason,
        /// Whether one call to it served several clients.
        collapsed: bool,
    },
}

/// Whose shard of this process it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    OwnCore,
    OtherCore,
    /// Any core's, which holds a copy of a node's value.
    EdgeCopy,
}

impl Keeper {
    /// Of an item that was found there.
    #[inline(always)]
    pub(crate) fn of(source: HitSource, is_edge_copy: bool) -> Self {
        match source {
            _ if is_edge_copy => Keeper::EdgeCopy,
            HitSource::Own => Keeper::OwnCore,
            HitSource::Core => Keeper::OtherCore,
        }
    }
}
