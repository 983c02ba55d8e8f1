//! Orders at a directory of our own that can be told what goes wrong, and that looks at the challenges as authorities do.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test that cannot set up has failed, and the other side of the protocol is plain sockets and threads"
)]

mod edge;
mod failures;
mod life;
mod restart;
mod run;
