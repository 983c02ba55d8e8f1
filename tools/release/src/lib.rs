//! Releases of Corelane: what a release is, whether it is what its maker signed, and which ones a host has.
//!
//! ```text
//!  corelane-VERSION-TARGET.json          manifest: version, commit, target, the archive's sha256, every file's sha256 and mode
//!  corelane-VERSION-TARGET.json.minisig  its signature
//!  corelane-VERSION-TARGET.tar.zst       the files
//!
//!  signature ─▶ manifest ─▶ archive's bytes ─▶ unpacked, file by file     nothing is read before what stands left of it
//!
//!  /opt/corelane/releases/<sha256 of the manifest>/…      what a release is called on a host
//!  /opt/corelane/current ─▶ releases/<sha256>             what a start runs
//! ```
//!
//! **Not**: building or signing releases (`cargo xtask release`), restarting services, fetching anything.
//!
//! **Invariants**: no byte of an archive is decompressed before its hash is that of a signed manifest. A release folder is
//! complete or absent. `current` always names a complete release once it exists.
//!
//! **Source**: minisign's format; POSIX ustar and RFC 8878 by their crates.

pub mod bundle;
mod error;
mod folder;
pub mod keys;
pub mod manifest;
pub mod pack;
pub mod path;
pub mod store;
pub mod sum;
mod unpack;

pub use error::ReleaseError;
