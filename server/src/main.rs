//! The `corelane` binary: what was booted becomes a plan, and the plan becomes cores.

use std::process::ExitCode;

use control::boot::{self, Booted};
use control::drain::Exit;
use control::metrics::ProcessUsage;
use corelane::settings::EdgeSettings;
use corelane::{EdgePlan, start};
use reactor::Threads;

fn main() -> ExitCode {
    boot::run(|booted: Booted<EdgeSettings>| {
        let plan = EdgePlan {
            loaded: booted.loaded,
            config: booted.config,
            topology: booted.topology,
            cpus: booted.cpus.into_iter().map(Some).collect(),
            incarnation: booted.incarnation,
            log: Box::new(std::io::stderr()),
            usage: Some(ProcessUsage::read),
        };
        let mut threads = Threads::new(None);
        let ending = start(&mut threads, plan)?;
        threads.join();
        // An edge that has ended without saying how has lost its connections.
        Ok(ending.status().unwrap_or(Exit::Cut.status()))
    })
}
