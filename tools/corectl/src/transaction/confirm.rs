//! A change that is kept.
//!
//! **Invariants**: what was there before corectl first came is kept over any number of changes: a rollback goes all the way back.

use serde::{Deserialize, Serialize};

use super::origin::ChangeOrigin;
use super::record::{SavedSetting, TransactionPhase, TransactionRecord, VERSION};
use super::{StateStore, TransactionError};
use crate::knobs::{Knob, by_name};
use crate::setting::{SettingReading, take_back, write};

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
    /// In which boot and network, with which cards it was made.
    pub origin: ChangeOrigin,
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
    let pending = pending.ok_or_else(|| TransactionError::NothingPending { said: last_change(store) })?;
    if pending.is_trial {
        return Err(TransactionError::OnlyTried);
    }
    pending.origin.check(store)?;
    let before = store.confirmed()?;
    write_parameters(store, &pending)?;
    let confirmed = merged(before, &pending, store);
    store.store_confirmed(&confirmed)?;
    finish(store, &pending)?;
    Ok(confirmed)
}

/// What to say when the last thing that happened was that a change went back.
fn last_change(store: &StateStore<'_>) -> String {
    let Some(at) = store.taken_back_at() else { return String::new() };
    let seconds = store.host().now().epoch_seconds.saturating_sub(at);
    format!(
        "; the last change went back {seconds} s ago: apply it again, with a longer --revert-after if that was too short"
    )
}

/// Writes what the next boot would act on whether the change is confirmed or not. All of it, or what was there before.
fn write_parameters(store: &StateStore<'_>, pending: &TransactionRecord) -> Result<(), TransactionError> {
    let parameters = || pending.settings.iter().filter(|setting| setting.address.waits_for_confirmation());
    for setting in parameters() {
        let Some(goal) = setting.goal() else { continue };
        let Err(error) = write(store.host(), &setting.address, goal) else { continue };
        for written in parameters() {
            if let Err(error) = take_back(store.host(), &written.address, &written.prior) {
                store.note(&format!("confirm: {}: {error}", written.words()));
            }
        }
        return Err(TransactionError::NotKept { setting: setting.words(), why: error.to_string() });
    }
    Ok(())
}

/// Forgets a change that is among what was confirmed.
pub(super) fn finish(store: &StateStore<'_>, pending: &TransactionRecord) -> Result<(), TransactionError> {
    store.remove_pending()?;
    store.note(&format!("apply {} is confirmed", pending.id));
    if let Some(timer) = &pending.timer {
        timer.disarm(store.host());
    }
    Ok(())
}

fn merged(before: Option<Confirmed>, pending: &TransactionRecord, store: &StateStore<'_>) -> Confirmed {
    let (mut settings, said_before) =
        before.map_or_else(Default::default, |confirmed| (confirmed.settings, confirmed.acknowledgement));
    for setting in &pending.settings {
        match settings.iter_mut().find(|known| known.address == setting.address) {
            Some(known) => {
                known.wanted = setting.wanted.clone().or_else(|| known.wanted.clone());
            }
            None => settings.push(setting.clone()),
        }
    }
    settings.retain(|setting| !is_released(setting));
    settings.sort_by_key(|setting| setting.address.order());
    let is_weakened = settings.iter().any(|setting| by_name(&setting.knob).is_some_and(Knob::weakens));
    Confirmed {
        version: VERSION,
        id: pending.id.clone(),
        profile: pending.profile.clone(),
        origin: ChangeOrigin::here(store.host(), &settings),
        epoch_seconds: store.host().now().epoch_seconds,
        acknowledgement: pending.acknowledgement.clone().or(said_before).filter(|_| is_weakened),
        settings,
    }
}

/// Whether it was given back what it had before corectl came: it is nobody's business any more.
fn is_released(setting: &SavedSetting) -> bool {
    matches!((&setting.wanted, &setting.prior), (Some(wanted), SettingReading::Value(prior)) if wanted == prior)
}
