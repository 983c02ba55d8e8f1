//! The `shardstored` binary: what was booted becomes a plan, and the plan becomes cores.

use std::process::ExitCode;

use control::boot::{self, Booted};
use control::exit::Exit;
use control::metrics::ProcessUsage;
use reactor::Threads;
use shardstored::settings::NodeSettings;
use shardstored::{NodePlan, start};

fn main() -> ExitCode {
    boot::run(|booted: Booted<NodeSettings>| {
        let (topology, source) = booted.topology.ok_or("topology: a node needs one; name its file")?;
        let plan = NodePlan {
            loaded: booted.loaded,
            config: booted.config,
            topology,
            source,
            security: booted.security,
            incarnation: booted.incarnation,
            descriptors: Some(booted.descriptors),
            cpus: booted.cpus.into_iter().map(Some).collect(),
            process: booted.process,
            log: Box::new(booted.log),
            usage: Some(ProcessUsage::read),
            host_memory: booted.host_memory,
        };
        let mut threads = Threads::new(None);
        let started = start(&mut threads, plan)?;
        threads.join();
        // A node that has ended without saying how has failed.
        Ok(started.ending.status().unwrap_or(Exit::Failed.status()))
    })
}
