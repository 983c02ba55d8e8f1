//! The store against real rustls clients, in memory.

mod certificates;
mod challenges;
mod handshakes;
mod issuer;
mod links;
mod reloads;
mod resumption;
