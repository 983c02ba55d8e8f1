//! The enumerations of the header: kind, opcode, status.
//!
//! **Not**: what an operation carries (that is `request` and `response`).
//!
//! **Invariants**: a number once given keeps its meaning; a removed one is not given again.
//!
//! **Source**: docs/wire.md.

/// Declares an enumeration with wire numbers, the way back from a number, and a stable name for metrics.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident : $repr:ty { $($(#[$vmeta:meta])* $variant:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr($repr)]
        pub enum $name { $($(#[$vmeta])* $variant = $number,)+ }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value with this number, or `None` for one that this release does not know.
            #[inline]
            #[must_use]
            pub const fn from_number(number: $repr) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// The number on the wire.
            #[inline]
            #[must_use]
            pub const fn number(self) -> $repr { self as $repr }

            /// The stable snake_case name for metrics and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}
pub(crate) use wire_enum;

wire_enum! {
    /// What a frame is within the conversation.
    Kind: u8 {
        /// Asks; exactly one response (or one sequence of chunks) comes back unless QUIET says otherwise.
        Request = 1, "request";
        /// Answers the request with the same id.
        Response = 2, "response";
        /// Sent by a node without being asked, for example a changed topology.
        Push = 3, "push";
        /// A request that wants no answer at all.
        OneWay = 4, "one_way";
        /// About the connection itself: HELLO.
        Control = 5, "control";
    }
}

wire_enum! {
    /// What a request, a push or a control frame is about.
    Opcode: u16 {
        /// Opens a connection; kind is control; both sides send one.
        Hello = 1, "hello";
        /// Liveness; answered at once.
        Ping = 2, "ping";
        /// Reads one key.
        Get = 16, "get";
        /// Writes one key, optionally on a condition.
        Set = 17, "set";
        /// Removes one key, optionally on a condition.
        Delete = 18, "delete";
        /// Changes the expiry of one key.
        Touch = 19, "touch";
        /// Reads many keys.
        Mget = 20, "mget";
        /// Writes many keys.
        Mset = 21, "mset";
        /// Reads a part of one key's value, or what is known of it beside the value.
        Read = 22, "read";
        /// The node's counters.
        Stats = 32, "stats";
        /// The node's topology.
        Topology = 33, "topology";
    }
}

wire_enum! {
    /// How a request ended; what a caller sees.
    Status: u16 {
        /// Done.
        Ok = 0, "ok";
        /// There is no such key.
        NotFound = 1, "not_found";
        /// The condition did not hold; nothing changed.
        NotApplied = 2, "not_applied";
        /// The request was sent and its outcome is not known; never reported as failed.
        Unknown = 3, "unknown";
        /// Over a bound; try again after the time in RETRY_AFTER.
        Busy = 4, "busy";
        /// Another node owns the slot; MOVED says which.
        Moved = 5, "moved";
        /// The sender knows a newer topology than the node; the node reads its own again.
        Stale = 6, "stale";
        /// An opcode, flag or TLV that had to be understood was not.
        Unsupported = 7, "unsupported";
        /// Key or value over a limit.
        TooLarge = 8, "too_large";
        /// The value does not match its checksum.
        Corrupt = 9, "corrupt";
        /// The node cannot serve now (starting, draining).
        Unavailable = 10, "unavailable";
    }
}
