//! The library of `corectl`: a host is looked at, planned for, changed, checked and put back.
//!
//! ```text
//!  host ◀── facts ──▶ plan ◀── profile, knobs, layout        facts, plan: no change
//!   ▲                  │
//!   └── transaction ◀──┘      apply ─▶ verify ─▶ confirm, or the way back by itself
//! ```
//!
//! **Not**: a service. Every verb ends; what must outlive it is a timer of systemd or one small process.
//!
//! **Invariants**: prior values are on disk before the first write. What decides does no I/O.

// The verbs name the library as its users do.
extern crate self as corectl;

pub mod ab;
pub mod command;
pub mod cpu_list;
pub mod ethtool;
pub mod facts;
pub mod host;
pub mod knobs;
pub mod layout;
pub mod picture;
pub mod pki;
pub mod plan;
pub mod printable;
pub mod profile;
pub mod reference;
pub mod setting;
pub mod status;
pub mod top;
pub mod traffic;
pub mod transaction;
mod verbs;
pub mod verify;
