//! `corectl tune rollback`.

use std::process::ExitCode;

use anyhow::Result;
use corectl::transaction::{TransactionError, rollback};

use super::session::TuneSession;

pub(super) fn run(session: &TuneSession) -> Result<ExitCode> {
    let (store, _lock) = session.begin()?;
    match rollback(&store) {
        Ok(record) => {
            let what = if record.ends_confirmed { "everything that was confirmed" } else { "the change that waited" };
            println!("taken back: {what}, {} settings", record.settings.len());
            if store.confirmed()?.is_some() {
                println!("what was confirmed before it is in force; corectl tune rollback again takes that back too");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ TransactionError::NotBack { .. }) => {
            eprintln!("error: {error}");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}
