//! `Cache-Status`: where a response came from.
//!
//! **Not**: deciding it.
//! **Invariants**: every value is a valid RFC 8941 list of one item, a token with parameters.
//! **Source**: RFC 9211 section 2.
//!
//! | value | what it says |
//! |---|---|
//! | `corelane; hit; detail=own` | this core's shard had it |
//! | `corelane; hit; detail=core` | another core of this process had it |
//! | `corelane; fwd=miss; detail="node 2"` | node 2 was asked |
//! | `corelane; fwd=miss; collapsed; detail="node 2"` | node 2 was asked once for several clients |

/// Which part of the process had the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitSource {
    /// The shard of the core that answers.
    Own,
    /// Another core's shard.
    Core,
}

/// Why a request went on to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardReason {
    /// This process had no value for the key.
    Miss,
    /// The method writes, so it always goes to the owner.
    Method,
    /// The request asked for the owner's response.
    Request,
}

/// The value of a `Cache-Status` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// Answered by this process.
    Hit(HitSource),
    /// Nothing was found, and there is no node to ask.
    Miss,
    /// A node was asked.
    Forwarded {
        /// Why.
        reason: ForwardReason,
        /// The node's id.
        node: u32,
        /// Whether one call served several clients.
        collapsed: bool,
    },
}

impl HitSource {
    /// The value of the field for a hit there.
    pub(crate) const fn value(self) -> &'static str {
        match self {
            Self::Own => "corelane; hit; detail=own",
            Self::Core => "corelane; hit; detail=core",
        }
    }
}

impl CacheStatus {
    /// Appends the value.
    pub(crate) fn push_value(self, out: &mut Vec<u8>) {
        match self {
            Self::Hit(source) => out.extend_from_slice(source.value().as_bytes()),
            Self::Miss => out.extend_from_slice(b"corelane; fwd=miss"),
            Self::Forwarded { reason, node, collapsed } => push_forwarded(out, reason, node, collapsed),
        }
    }
}

fn push_forwarded(out: &mut Vec<u8>, reason: ForwardReason, node: u32, collapsed: bool) {
    out.extend_from_slice(match reason {
        ForwardReason::Miss => b"corelane; fwd=miss".as_slice(),
        ForwardReason::Method => b"corelane; fwd=method",
        ForwardReason::Request => b"corelane; fwd=request",
    });
    if collapsed {
        out.extend_from_slice(b"; collapsed");
    }
    out.extend_from_slice(b"; detail=\"node ");
    out.extend_from_slice(itoa::Buffer::new().format(node).as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let forwarded = |reason, node, collapsed| CacheStatus::Forwarded { reason, node, collapsed };
        for (status, want) in [
            (CacheStatus::Hit(HitSource::Own), "hit; detail=own"),
            (CacheStatus::Hit(HitSource::Core), "hit; detail=core"),
            (CacheStatus::Miss, "fwd=miss"),
            (forwarded(ForwardReason::Miss, 2, false), "fwd=miss; detail=\"node 2\""),
            (forwarded(ForwardReason::Miss, 0, true), "fwd=miss; collapsed; detail=\"node 0\""),
            (forwarded(ForwardReason::Method, u32::MAX, false), "fwd=method; detail=\"node 4294967295\""),
            (forwarded(ForwardReason::Request, 10, false), "fwd=request; detail=\"node 10\""),
        ] {
            let mut out = Vec::new();
            status.push_value(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("corelane; {want}"));
        }
    }
}
