//! `corectl`: the operator's program on a host.
//!
//! **Not**: a service, and no part of one.
//!
//! **Exit status**: 0, it is so or was done. 1, it is not so: drift, a setting that does not hold, a change that was refused and taken
//! back. 2, it could not be done: options, files, another corectl at work. 3, a change waits to be confirmed.

mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tunes a host for Corelane and takes every change back; shows what runs on it.
#[derive(Parser)]
#[command(name = "corectl", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: CorectlVerb,
}

#[derive(Subcommand)]
enum CorectlVerb {
    /// Look at the host, plan, apply, verify, confirm, and take back what was changed.
    ///
    /// A change that is not confirmed in time takes itself back: also when this program, the shell or the SSH session has ended.
    Tune(verbs::tune::Options),
    Top(verbs::top::Options),
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let done = match verb {
        CorectlVerb::Tune(options) => verbs::tune::run(options),
        CorectlVerb::Top(options) => verbs::top::run(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
