//! `corelane-hosts`: hosts with a real systemd on one machine, and the scenarios that run on them.
//!
//! ```text
//!  image (mmdebstrap, cached) ─▶ overlay per host ─▶ systemd-nspawn --boot in a network namespace and a cgroup of its own
//! ```
//!
//! **Not**: anything on the machine itself but what is listed under Invariants. Not limits and NIC queues, which a container
//! cannot change: those need a virtual machine.
//!
//! **Invariants**: outside its folders, namespaces and cgroups, all of which carry the name of this process, nothing is changed,
//! and they are removed at the end, also after a failure. No address of the machine's own namespace is used. What the machine
//! lacks is said, all at once, and is a failure.
//!
//! **Source**: systemd-nspawn(1), mmdebstrap(1), ip-netns(8), cgroups(7).

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool that starts hosts and waits for them needs the clock, sockets and the environment that data cores must not use"
)]

mod cgroup;
mod fleet;
mod host;
mod image;
mod network;
mod overlay;
mod preflight;
mod run;
mod scenarios;
mod thread_stop;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use corelane_lab::poll::Stop;
use scenarios::{HostLab, SCENARIOS};

/// Hosts with a real systemd on this machine. Needs root.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: HostsVerb,
}

#[derive(Subcommand)]
enum HostsVerb {
    /// Install the package on single hosts and operate it there
    Package(PackageOptions),
    /// Bring a fleet of six hosts to serving with Ansible, and operate it
    Fleet(fleet::Options),
    /// Load the fleet until SIGTERM
    #[command(hide = true)]
    Load {
        /// The balancer
        #[arg(long)]
        address: SocketAddr,
    },
    /// Load edges over TLS until SIGTERM; a fleet's test runs this
    #[command(hide = true)]
    LoadHttps {
        /// The edges
        #[arg(long)]
        address: Vec<SocketAddr>,
        /// The authorities of their certificates
        #[arg(long)]
        ca: PathBuf,
    },
}

/// What single hosts are tested with.
#[derive(Args)]
struct PackageOptions {
    /// The package to install on them (cargo xtask release makes one)
    #[arg(long, value_name = "FILE")]
    deb: PathBuf,
    /// The document whose commands a new user follows
    #[arg(long, value_name = "FILE", default_value = "docs/operations.md")]
    manual: PathBuf,
    /// Only scenarios whose names contain this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().verb) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns how many scenarios failed.
fn run(verb: &HostsVerb) -> Result<usize> {
    match verb {
        HostsVerb::Package(options) => run_scenarios(options),
        HostsVerb::Fleet(options) => {
            preflight::check_for_fleet()?;
            fleet::test(options, &Stop::on_signals()?)
        }
        HostsVerb::Load { address } => fleet::generate(*address).map(|()| 0),
        HostsVerb::LoadHttps { address, ca } => fleet::generate_https(address, ca).map(|()| 0),
    }
}

/// Returns how many failed.
fn run_scenarios(arguments: &PackageOptions) -> Result<usize> {
    let chosen: Vec<_> = SCENARIOS.iter().filter(|scenario| scenario.name.contains(&arguments.only)).collect();
    ensure!(!chosen.is_empty(), "no scenario has a name that contains {:?}", arguments.only);
    ensure!(arguments.deb.is_file(), "{} is not there; cargo xtask lab-test makes it", arguments.deb.display());
    preflight::check()?;
    let stop = Stop::on_signals()?;
    let image = image::HostImage::ready(&stop)?;
    let setting = HostLab { image, deb: arguments.deb.clone(), manual: arguments.manual.clone(), stop };
    let mut failed = 0;
    for scenario in &chosen {
        let began = Instant::now();
        let outcome = (scenario.run)(&setting);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("scenario {} ... ok ({seconds:.1} s)", scenario.name),
            Err(error) => {
                failed += 1;
                println!("scenario {} ... FAILED ({seconds:.1} s)\n{error:#}", scenario.name);
            }
        }
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(failed)
}
