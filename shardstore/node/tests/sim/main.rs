//! The node on the simulated reactor: whole, with scripted peers, for many seeds.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod batches;
mod clocks;
mod deadlines;
mod drain;
mod epochs;
mod flow;
mod hostile;
mod large;
mod limits;
mod operations;
mod peer;
mod rig;
mod slots;
