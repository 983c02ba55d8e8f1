//! `corectl tune`: one file for each of its verbs.

mod ab;
mod apply;
mod confirm;
mod expire;
mod facts;
mod plan;
mod rollback;
mod session;
mod status;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use plan::OVERRIDES_FILE;
pub(crate) use session::{HostOptions, TuneSession};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    host: HostOptions,
    #[command(subcommand)]
    verb: TuneVerb,
}

#[derive(Subcommand)]
enum TuneVerb {
    /// Print what the host is and how it is set
    Facts(facts::Options),
    /// Print what a profile would change, and why; changes nothing
    ///
    /// Exit status 2: the plan has problems, and would not be applied.
    Plan(plan::Options),
    /// Change the host as planned; takes itself back unless it is confirmed in time
    ///
    /// Exit status 1: the host refused a setting, and everything is back; or one does not hold. 2: the plan has problems, a change
    /// waits already, or nobody has acknowledged what gives a protection up.
    Apply(apply::Options),
    /// Read back what is in force, beside what was asked for
    ///
    /// Exit status 1: a setting does not hold.
    Verify(verify::Options),
    /// Keep the change that waits
    ///
    /// Exit status 2: nothing waits; it may have gone back already, which is said then.
    Confirm,
    /// Print what waits, what was confirmed, and what has drifted
    ///
    /// Exit status 1: something is not as confirmed. 3: a change waits to be confirmed.
    Status(status::Options),
    /// Put back what was there before: of the change that waits, else of everything
    ///
    /// Exit status 1: something could not be put back, and is named. 2: nothing was changed.
    Rollback(rollback::Options),
    /// Measure what knobs are worth here: one at a time, as it is and as the profile wants it, in turns under one load
    ///
    /// Needs coreperf. Every value is back when it ends; when it is killed, a timer puts back the one that it was trying.
    /// Exit status 1: no knob was tried.
    Ab(Box<ab::Options>),
    /// What the timer calls
    #[command(hide = true)]
    Expire(expire::Options),
}

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let session = TuneSession::new(options.host);
    match options.verb {
        TuneVerb::Facts(options) => facts::run(&session, &options),
        TuneVerb::Plan(options) => plan::run(&session, &options),
        TuneVerb::Apply(options) => apply::run(&session, &options),
        TuneVerb::Verify(options) => verify::run(&session, &options),
        TuneVerb::Confirm => confirm::run(&session),
        TuneVerb::Status(options) => status::run(&session, &options),
        TuneVerb::Rollback(options) => rollback::run(&session, &options),
        TuneVerb::Ab(options) => ab::run(&session, &options),
        TuneVerb::Expire(options) => expire::run(&session, &options),
    }
}
