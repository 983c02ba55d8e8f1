//! `corectl tune rollback`.

use std::process::ExitCode;

use anyhow::Result;
use corectl::printable::printable;
use corectl::transaction::{TransactionEnd, TransactionError, give_up, rollback};

use super::session::TuneSession;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the settings of a knob as they are, and forget what was there before: for what cannot be put back any more
    #[arg(long, value_name = "KNOB")]
    give_up: Vec<String>,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    for knob in &options.give_up {
        let store = session.store();
        let lock = store.lock()?;
        let struck = give_up(&store, knob)?;
        drop(lock);
        println!("left as it is: {}", printable(&struck.join("; ")));
    }
    let mut is_back_already = false;
    let (store, lock) = session.begin_with(|recovery| {
        eprintln!("{}", recovery.said);
        is_back_already |= recovery.end == TransactionEnd::Reverted;
    })?;
    if is_back_already {
        // What was asked for has been done: a rollback more would take back what was confirmed before.
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = rollback(&store);
    let keeps_earlier = outcome.is_ok() && store.confirmed()?.is_some();
    drop(lock);
    match outcome {
        Ok(taken_back) => {
            let record = &taken_back.record;
            let what = if record.ends_confirmed { "everything that was confirmed" } else { "the change that waited" };
            println!("taken back: {what}, {} settings{}", record.settings.len(), taken_back.gone_words());
            if keeps_earlier {
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
