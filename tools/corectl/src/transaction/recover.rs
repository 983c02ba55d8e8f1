//! What a call does first: it looks for a change that somebody did not finish.
//!
//! | found | done |
//! |---|---|
//! | prior values saved, nothing written | forgotten |
//! | writes begun, and the process is gone | taken back |
//! | waits, and its time is over | taken back |
//! | waits, of an earlier boot | files put back; what the kernel forgot stays so |
//! | confirmed, and not forgotten yet | forgotten |
//! | being put back, and the process is gone | put back |
//!
//! **Invariants**: the caller holds the lock, so whoever began is gone.

use super::record::TransactionPhase;
use super::{StateStore, TransactionEnd, TransactionError, confirm, revert};

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// For people.
    pub said: String,
    /// What became of the change.
    pub end: TransactionEnd,
}

/// Completes or takes back what was left.
///
/// # Errors
/// Some values are not back, or the state cannot be read or written.
pub fn recover(store: &StateStore<'_>) -> Result<Option<Recovery>, TransactionError> {
    let Some(pending) = store.pending()? else { return Ok(None) };
    // A damaged file of what was confirmed keeps no waiting change from being taken back.
    if matches!(store.confirmed(), Ok(Some(confirmed)) if confirmed.id == pending.id) {
        confirm::finish(store, &pending)?;
        let said = "found a change whose confirmation was interrupted: it is confirmed".into();
        return Ok(Some(Recovery { said, end: TransactionEnd::Confirmed }));
    }
    let is_this_boot = pending.origin.is_this_boot(store.host());
    let found = match pending.phase {
        TransactionPhase::Prepared => "found a change that was not begun",
        TransactionPhase::Writing => "found a change that was interrupted while it was written",
        TransactionPhase::Reverting => "found a change that was interrupted while it was taken back",
        TransactionPhase::Pending if !is_this_boot => "found a change that was not confirmed before a reboot",
        TransactionPhase::Pending if pending.is_overdue(store.host().now()) => {
            "found a change that was not confirmed in time"
        }
        TransactionPhase::Pending => return Ok(None),
    };
    if pending.phase == TransactionPhase::Prepared {
        store.remove_pending()?;
        return Ok(Some(Recovery { said: format!("{found}: nothing was written"), end: TransactionEnd::Reverted }));
    }
    let gone = revert::put_back(store, pending)?.gone_words();
    let back = if is_this_boot { "every value is back as before" } else { "its files are back as before" };
    let said = format!("{found}: {back}{gone}");
    Ok(Some(Recovery { said, end: TransactionEnd::Reverted }))
}
