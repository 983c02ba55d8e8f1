//! `coreperf floor`: serves the bare loop of the reactor crate.
//!
//! **Not** a measurement by itself: a load generator and `/proc/PID/stat` make it one (see docs/performance.md).

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use reactor::{Address, Descriptors, FloorOptions, serve_floor};

/// Where and on which CPU the floor is served.
#[derive(Args)]
pub(crate) struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// CPU to pin the loop to.
    #[arg(long)]
    cpu: Option<usize>,
    /// Bytes of every body.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=64 << 20))]
    body_bytes: u32,
    /// Use ordinary file descriptors instead of registered ones, to see what those save (ADR 1).
    #[arg(long)]
    plain_descriptors: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    println!("serving the floor on {}; Ctrl-C ends it", options.listen);
    let descriptors = if options.plain_descriptors { Descriptors::Plain } else { Descriptors::Direct };
    let served = FloorOptions { cpu: options.cpu, descriptors, body_bytes: options.body_bytes as usize };
    serve_floor(&Address::Tcp(options.listen), served)
        .with_context(|| format!("cannot serve the floor on {}", options.listen))
}
