//! `corectl tune status`.

use std::process::ExitCode;

use anyhow::Result;
use corectl::status::{TuneState, TuneStatus};

use super::session::TuneSession;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write metrics for Prometheus' textfile collector; a path of the host
    #[arg(long, value_name = "FILE")]
    metrics: Option<String>,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    let store = session.look()?;
    let status = TuneStatus::of(&store)?;
    if let Some(path) = &options.metrics {
        session.host().store(path, &status.metrics(session.host()))?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print(session, &status);
    }
    Ok(match status.state() {
        TuneState::Untouched | TuneState::Confirmed => ExitCode::SUCCESS,
        TuneState::Drifted => ExitCode::FAILURE,
        TuneState::Pending => ExitCode::from(3),
    })
}

fn print(session: &TuneSession, status: &TuneStatus) {
    println!("{}", status.state().word());
    if let Some(pending) = &status.pending {
        let left = pending.deadline_boot_seconds.saturating_sub(session.host().now().boot_seconds);
        println!("profile {} waits to be confirmed; it is taken back in {left} s", pending.profile);
    }
    if let Some(confirmed) = &status.confirmed {
        println!("profile {} is confirmed, {} settings", confirmed.profile, confirmed.settings.len());
    }
    for setting in status.drifted() {
        println!("drifted: {}", setting.words());
    }
}
