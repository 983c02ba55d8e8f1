//! `corectl tune apply`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use corectl::plan::{LineAction, TunePlan, render};
use corectl::printable::printable;
use corectl::transaction::{ApplyOptions, TransactionError, apply, reapply};

use super::plan::PlanOptions;
use super::session::TuneSession;
use super::verify;

/// Less is not enough to look at a host and type a word.
const REVERT_SECONDS_MIN: u64 = 5;

/// Whoever needs longer has forgotten it.
const REVERT_SECONDS_MAX: u64 = 24 * 3600;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    plan: PlanOptions,
    /// The time after which everything is taken back unless it is confirmed: 5s to 24h
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    revert_after: Duration,
    /// Who has agreed, and why, where a protection is given up; it is kept with the change
    #[arg(long, value_name = "TEXT")]
    acknowledge: Option<String>,
    /// Make again what was confirmed, and nothing else: for a unit that runs at every boot
    #[arg(long, conflicts_with_all = ["profile", "set", "only", "max_risk", "overrides", "cores_map", "revert_after", "acknowledge"])]
    boot: bool,
}

/// What was confirmed, after a boot. A host of which nothing was confirmed is as it should be.
fn run_at_boot(session: &TuneSession) -> Result<ExitCode> {
    let (store, lock) = session.begin()?;
    let outcome = reapply(&store);
    drop(lock);
    match outcome {
        Err(TransactionError::NothingApplied) => {
            println!("nothing was confirmed");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
        Ok(failures) => {
            for failure in &failures {
                eprintln!("error: {failure}");
            }
            println!("made again, {} settings could not be written", failures.len());
            Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    if options.boot {
        return run_at_boot(session);
    }
    let revert_after_seconds = options.revert_after.as_secs();
    if !(REVERT_SECONDS_MIN..=REVERT_SECONDS_MAX).contains(&revert_after_seconds) {
        bail!("--revert-after: found {revert_after_seconds} s, allowed: {REVERT_SECONDS_MIN} s to 24 h");
    }
    // Looked at by the operator before anything is changed, and made again under the lock.
    let (_, lock) = session.begin()?;
    drop(lock);
    let shown = options.plan.plan(session, &options.plan.facts(session))?;
    print!("{}", printable(&render(&shown)));
    std::io::stdout().flush().context("standard output")?;
    let revert = session.revert_command()?;
    let (store, lock) = session.begin()?;
    let facts = options.plan.facts(session);
    let plan = options.plan.plan(session, &facts)?;
    if (&plan.lines, &plan.layout, &plan.problems) != (&shown.lines, &shown.layout, &shown.problems) {
        bail!(
            "the host changed while the plan was printed, and nothing of it was applied; look at `corectl tune plan` again"
        );
    }
    let acknowledgement = options.acknowledge.clone();
    let options = ApplyOptions { revert_after_seconds, revert, acknowledgement, is_trial: false };
    let outcome = apply(&store, &facts, &plan, &options);
    drop(lock);
    let record = match outcome {
        Ok(record) => record,
        Err(error @ (TransactionError::Refused { .. } | TransactionError::NotBack { .. })) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    };
    let all_right = verify::report(session, &record.settings);
    let left = record.deadline_boot_seconds.saturating_sub(session.host().now().boot_seconds);
    println!("\n{}", what_waits(&plan, Duration::from_secs(left)));
    Ok(if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What becomes of a plan that was carried out, and how to keep it.
fn what_waits(plan: &TunePlan, left: Duration) -> String {
    let left = humantime::format_duration(left);
    if plan.changes().next().is_some() {
        return format!("The change takes itself back in {left}, unless you keep it: corectl tune confirm");
    }
    let held_back = plan.lines.iter().filter(|line| line.action == LineAction::HeldBack).count();
    let held_back = match held_back {
        0 => String::new(),
        count => format!(" {count} settings were held back; --max-risk allows more."),
    };
    format!(
        "Nothing was changed.{held_back} To be told when what is right now changes: corectl tune confirm, within {left}"
    )
}
