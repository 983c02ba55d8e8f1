//! `corectl tune verify`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use corectl::status::TuneStatus;
use corectl::traffic::{QueueTraffic, TrafficSample, traffic};
use corectl::transaction::SavedSetting;
use corectl::verify::{Standing, VerifiedSetting, verify_waiting};

use super::expire::wait;
use super::session::TuneSession;

/// What is watched longer has other means.
const TRAFFIC_SECONDS_MAX: u64 = 3600;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Also watch for so long to which CPUs the interrupts of queues come: 1s to 1h. Says something while traffic flows
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    traffic: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    let seconds = options.traffic.map(|time| time.as_secs());
    if seconds.is_some_and(|seconds| !(1..=TRAFFIC_SECONDS_MAX).contains(&seconds)) {
        bail!("--traffic: found {} s, allowed: 1 s to 1 h", seconds.unwrap_or_default());
    }
    let store = session.look()?;
    let status = TuneStatus::of(&store)?;
    let saved = status.saved();
    let watched = seconds.map(|seconds| watch(session, &saved, seconds)).transpose()?;
    match (&watched, options.json) {
        (None, true) => println!("{}", serde_json::to_string_pretty(&status.settings)?),
        (Some(watched), true) => {
            let both = serde_json::json!({ "settings": status.settings, "traffic": watched });
            println!("{}", serde_json::to_string_pretty(&both)?);
        }
        (watched, false) => {
            print(&status.settings);
            print_traffic(watched.as_deref().unwrap_or_default());
        }
    }
    let comes_right = watched.iter().flatten().all(QueueTraffic::is_right);
    Ok(if status.drifted().next().is_none() && comes_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Counts for so long what comes to the queues.
fn watch(session: &TuneSession, settings: &[SavedSetting], seconds: u64) -> Result<Vec<QueueTraffic>> {
    let before = TrafficSample::take(session.host(), settings);
    wait(seconds)?;
    let after = TrafficSample::take(session.host(), settings);
    Ok(traffic(session.host(), settings, [&before, &after]))
}

fn print_traffic(watched: &[QueueTraffic]) {
    for queue in watched {
        println!("{}{queue}", if queue.is_right() { "" } else { "NOT IN FORCE: " });
    }
}

/// Looks at the settings, and says what does not hold. Whether all of it does.
pub(super) fn report(session: &TuneSession, settings: &[SavedSetting]) -> bool {
    let verified = verify_waiting(session.host(), settings);
    print(&verified);
    verified.iter().all(VerifiedSetting::is_right)
}

fn print(settings: &[VerifiedSetting]) {
    let count = |standing| settings.iter().filter(|setting| setting.standing == standing).count();
    for setting in settings.iter().filter(|setting| !setting.is_right()) {
        println!("NOT IN FORCE: {}", setting.words());
    }
    for setting in settings.iter().filter(|setting| matches!(setting.standing, Standing::Lags | Standing::Waits)) {
        println!("not yet: {}", setting.words());
    }
    let wrong = count(Standing::Differs) + count(Standing::Missing);
    println!(
        "{} settings in force, {} not yet, {wrong} not",
        count(Standing::Holds),
        count(Standing::Lags) + count(Standing::Waits)
    );
}
