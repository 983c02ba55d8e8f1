//! `corectl tune verify`.

use std::process::ExitCode;

use anyhow::Result;
use corectl::status::TuneStatus;
use corectl::transaction::SavedSetting;
use corectl::verify::{Standing, VerifiedSetting, verify};

use super::session::TuneSession;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    let (store, _lock) = session.begin()?;
    let status = TuneStatus::of(&store)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&status.settings)?);
    } else {
        print(&status.settings);
    }
    Ok(if status.drifted().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at the settings, and says what does not hold. Whether all of it does.
pub(super) fn report(session: &TuneSession, settings: &[SavedSetting]) -> bool {
    let verified = verify(session.host(), settings);
    print(&verified);
    verified.iter().all(VerifiedSetting::is_right)
}

fn print(settings: &[VerifiedSetting]) {
    let count = |standing| settings.iter().filter(|setting| setting.standing == standing).count();
    for setting in settings.iter().filter(|setting| !setting.is_right()) {
        println!("NOT IN FORCE: {}", setting.words());
    }
    for setting in settings.iter().filter(|setting| setting.standing == Standing::Lags) {
        println!("not yet: {}", setting.words());
    }
    let wrong = count(Standing::Differs) + count(Standing::Missing);
    println!("{} settings in force, {} not yet, {wrong} not", count(Standing::Holds), count(Standing::Lags));
}
