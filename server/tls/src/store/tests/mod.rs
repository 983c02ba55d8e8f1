//! The store against real rustls clients, in memory.

mod certificates;
mod handshakes;
mod issuer;
mod links;
mod reloads;
mod resumption;
