//! `corectl tune confirm`.

use std::process::ExitCode;

use anyhow::Result;
use corectl::transaction::confirm;

use super::session::TuneSession;

pub(super) fn run(session: &TuneSession) -> Result<ExitCode> {
    let (store, lock) = session.begin()?;
    let confirmed = confirm(&store)?;
    drop(lock);
    println!("confirmed: profile {}, {} settings", confirmed.profile, confirmed.settings.len());
    Ok(ExitCode::SUCCESS)
}
