//! The command line: verbs, and how the program ends.
//!
//! **Not** the verbs themselves.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use rustix::fs::Mode;

use crate::verbs;

/// Installs releases on a host, tunes it, takes every change back, shows what runs on it, and keeps a cluster's certificates.
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
    /// Draw the host: its CPUs, what each is for, its queues and interrupts, load, Corelane's threads, and what has drifted
    ///
    /// Changes nothing. Exit status 1: something is not as confirmed. 3: a change waits to be confirmed.
    Status(verbs::status::Options),
    /// Verify, install and list releases, and go back to the one before.
    Release(verbs::release::Options),
    /// Make a cluster's own certificate authority, and issue, renew and revoke certificates with it
    ///
    /// For clusters without a PKI of their own. All files lie in one folder, which is brought to no host as a whole: each host gets
    /// ca.pem, crl.pem, and its own certificate and key.
    #[command(after_help = verbs::pki::EXAMPLES)]
    Pki(verbs::pki::Options),
}

/// The command line, for manual pages and completions.
#[must_use]
pub fn command_line() -> clap::Command {
    Arguments::command()
}

/// Runs the program.
#[must_use]
pub fn run_program() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    // What it writes is read by services of other users, and written by nobody else, whoever's shell calls it.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let done = match verb {
        CorectlVerb::Tune(options) => verbs::tune::run(options),
        CorectlVerb::Top(options) => verbs::top::run(&options),
        CorectlVerb::Status(options) => verbs::status::run(options),
        CorectlVerb::Release(options) => verbs::release::run(&options),
        CorectlVerb::Pki(options) => verbs::pki::run(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
