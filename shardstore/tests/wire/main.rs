//! Tests of the shard protocol through its public interface: golden frames, round trips, and every way to damage a frame.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its shared parts")]

mod batch;
mod corpus;
mod credits;
mod damage;
mod golden;
mod hello;
mod reassembly;
mod round_trip;
