//! A change that is kept.
//!
//! **Invariants**: what was there before corectl first came is kept over any number of changes: a rollback goes all the way back.

use serde::{Deserialize, Serialize};

use super::record::{SavedSetting, TransactionPhase, TransactionRecord, VERSION};
use super::{StateStore, TransactionError};

/// Everything that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// The form of this file.
    pub version: u32,
    /// The last change.
    pub id: String,
    /// Its profile.
    pub profile: String,
    /// When it was confirmed.
    pub epoch_seconds: u64,
    /// What an operator wrote when a protection was given up.
    pub acknowledgement: Option<String>,
    /// The settings, each with what was there before the first change.
    pub settings: Vec<SavedSetting>,
}

/// Keeps the change that waits. The caller holds the lock and has recovered, so that it is not overdue.
///
/// # Errors
/// Nothing waits, or the state cannot be written.
pub fn confirm(store: &StateStore<'_>) -> Result<Confirmed, TransactionError> {
    let pending = store.pending()?.filter(|pending| pending.phase == TransactionPhase::Pending);
    let pending = pending.ok_or(TransactionError::NothingPending)?;
    let confirmed = merged(store.confirmed()?, &pending, store.host().now().epoch_seconds);
    store.store_confirmed(&confirmed)?;
    finish(store, &pending)?;
    Ok(confirmed)
}

/// Forgets a change that is among what was confirmed.
pub(super) fn finish(store: &StateStore<'_>, pending: &TransactionRecord) -> Result<(), TransactionError> {
    store.remove_pending()?;
    store.note(&format!("apply {} is confirmed", pending.id))?;
    if let Some(timer) = &pending.timer {
        timer.disarm(store.host());
    }
    Ok(())
}

fn merged(before: Option<Confirmed>, pending: &TransactionRecord, epoch_seconds: u64) -> Confirmed {
    let mut settings = before.map(|confirmed| confirmed.settings).unwrap_or_default();
    for setting in &pending.settings {
        match settings.iter_mut().find(|known| known.address == setting.address) {
            Some(known) => {
                known.wanted = setting.wanted.clone().or_else(|| known.wanted.clone());
            }
            None => settings.push(setting.clone()),
        }
    }
    settings.sort_by_key(|setting| setting.address.order());
    Confirmed {
        version: VERSION,
        id: pending.id.clone(),
        profile: pending.profile.clone(),
        epoch_seconds,
        acknowledgement: pending.acknowledgement.clone(),
        settings,
    }
}
