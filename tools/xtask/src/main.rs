//! Developers' automation: `cargo xtask <verb>`. One place for everything CI and a developer run by hand.
//!
//! **Not**: part of the product. No server crate may depend on it, and it depends on none of them.
//!
//! **Invariants**: every child process is started in its own process group and is stopped, group and all, before a
//! verb returns; every wait has a deadline or ends on Ctrl-C.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool that starts and watches processes needs the clock, sockets and threads that data cores must not use"
)]

mod child;
mod demo;
mod fleet_test;
mod fuzz;
mod lab;
mod miri;
mod packages;
mod perf;
mod python_env;
mod release;
mod sim;
mod steps;
mod test;
mod tidy;
mod vm_test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use corelane_lab::poll;

/// Developers' automation for Corelane.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check the rules the compiler cannot: layering, place of `unsafe`, headers, sizes, names, promises (seconds)
    Tidy(tidy::Options),
    /// Run everything CI runs: format, clippy, tidy, build, tests, docs, simulation, loom, fuzz crates
    Test(test::Options),
    /// Run the cluster simulation over many seeds, or replay one seed
    Sim(sim::Options),
    /// Run the fuzz targets from their committed seeds, stopping at the first finding
    Fuzz(fuzz::Options),
    /// Interpret the tests of the code with `unsafe` in it with Miri (minutes; needs a nightly toolchain)
    Miri(miri::Options),
    /// Measure the standard scenarios beside the floor and other servers, and make a report (about twelve minutes)
    Perf(perf::Options),
    /// Make the archive and the package of this commit, reproducibly, and sign them
    Release(release::Options),
    /// Install the package on hosts with a real systemd and operate it there (minutes; needs root)
    LabTest(lab::Options),
    /// Bring a fleet of six hosts to serving with Ansible, and operate it under load (minutes; needs root)
    FleetTest(fleet_test::Options),
    /// Start three nodes and two edges on loopback, say what to try, and stop them on Ctrl-C
    Demo(demo::Options),
    /// Show on a virtual machine what corectl does to a kernel, drivers and a boot loader (root, QEMU, a quarter of an hour)
    VmTest(vm_test::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(verb: &Verb) -> Result<ExitCode> {
    let root = workspace::root()?;
    match verb {
        Verb::Tidy(options) => tidy::run(&root, options),
        Verb::Test(options) => test::run(&root, options),
        Verb::Sim(options) => sim::run(&root, options),
        Verb::Fuzz(options) => fuzz::run(&root, options),
        Verb::Miri(options) => miri::run(&root, options),
        Verb::Perf(options) => perf::run(&root, options),
        Verb::Release(options) => release::run(&root, options),
        Verb::LabTest(options) => lab::run(&root, options),
        Verb::FleetTest(options) => fleet_test::run(&root, options),
        Verb::Demo(options) => demo::run(&root, options),
        Verb::VmTest(options) => vm_test::run(&root, options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
