//! Two edges and three nodes as real processes on loopback: written through one edge, read through the other; nodes that
//! die, hang, move their slots or are not who they should be.
//!
//! **Not** the simulated cluster (`tests/sim`), which looks for rare orders of events: here the kernel, signals and files
//! are real.
//!
//! **Invariants**: every wait has a bound; readiness is what a process says of itself; every process is ended by its id.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

mod cluster {
    mod authority;
    mod certificates;
    mod conditions;
    mod ending;
    mod failures;
    mod keys;
    mod member;
    mod operators;
    mod plaintext;
    mod resize;
    mod rig;
    mod sharing;
    mod strangers;
    mod strangers_tls;
    mod topologies;
}
