//! The real `corelane` binary and an authority of our own that speaks ACME: certificates are ordered, proved, taken into use, renewed.
//!
//! **Not** the client of the protocol alone, which the tests of `corelane-acme` take through every failure.
//!
//! **Invariants**: readiness is what the process says of itself; the authority looks at the listeners as authorities do.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

mod acme {
    mod failures;
    mod orders;
    mod rig;
    mod settings;
}
