//! The `corelane` binary: what was booted becomes a plan, and the plan becomes cores.

use std::process::ExitCode;

use control::boot::{self, Booted};
use control::exit::Exit;
use control::log::LineSink;
use control::metrics::ProcessUsage;
use corelane::settings::EdgeSettings;
use corelane::{EdgePlan, NameLookup, access_log, key_log, start};
use corelane_acme::Acme;
use reactor::Threads;

fn main() -> ExitCode {
    boot::run(|booted: Booted<EdgeSettings>| {
        let (access_port, access_log) = access_log::start(booted.cpus.len(), &booted.loaded.settings)?;
        let key_log = key_log::start(booted.loaded.settings.tls.key_log.as_deref())?;
        let mut last_words = booted.log.clone();
        let plan = EdgePlan {
            loaded: booted.loaded,
            config: booted.config,
            topology: booted.topology,
            cpus: booted.cpus.into_iter().map(Some).collect(),
            process: booted.process,
            incarnation: booted.incarnation,
            hash_seed: booted.hash_seed,
            descriptors: Some(booted.descriptors),
            log: Box::new(booted.log),
            usage: Some(ProcessUsage::read),
            host_memory: booted.host_memory,
            access_log: Some(access_port),
            security: booted.security,
            key_log,
            names: Some(NameLookup::start()?),
            acme: Some(Acme::start),
        };
        let mut threads = Threads::new(None);
        let ending = start(&mut threads, plan)?;
        threads.join();
        if !access_log.finish() {
            last_words.take("corelane: the file of the access log takes nothing; its last lines are lost\n");
        }
        // An edge that has ended without saying how has failed.
        Ok(ending.status().unwrap_or(Exit::Failed.status()))
    })
}
