//! What runs on the control thread, off the data cores: settings, and later the admin listener, metrics text and signals.
//!
//! **Not**: on the path of a request. Data cores receive immutable snapshots from here by message and never call in.
//!
//! **Invariants**: the process environment and the command line are read in one function, [`settings::from_process`].
//!
//! **Source**: docs/config.md for what an operator may set.

#![forbid(unsafe_code)]

pub mod settings;
