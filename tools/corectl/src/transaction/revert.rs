//! Prior values put back: at once after a failed write, by an operator, or when a change was not confirmed in time.
//!
//! **Invariants**: the record stays until every value was read back as it was. A state that cannot be written keeps no value from
//! being put back. Values are put back in the order of writing, because
//! a driver that gets its old queues again forgets what is said of them.

use super::record::{SavedSetting, TransactionPhase, TransactionRecord, VERSION};
use super::{StateStore, TransactionError};
use crate::setting::{SettingReading, read, settle, take_back};

/// Times that everything is gone through: a setting may only be possible after another, and drivers reset what was put back.
const PASSES: u32 = 3;

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// The change.
    pub record: TransactionRecord,
    /// Cards that are no longer in the host: nothing of them could be put back.
    pub gone: Vec<String>,
}

impl TakenBack {
    /// What to say of cards that are gone, after a sentence; empty without any.
    #[must_use]
    pub fn gone_words(&self) -> String {
        if self.gone.is_empty() {
            return String::new();
        }
        format!("; not in this host any more, so nothing of them could be put back: {}", self.gone.join(", "))
    }
}

/// Puts everything of a record back, and forgets it.
///
/// # Errors
/// Some values are not back; the record stays, and the next call tries again.
pub(super) fn put_back(store: &StateStore<'_>, mut record: TransactionRecord) -> Result<TakenBack, TransactionError> {
    record.origin.check(store)?;
    record.phase = TransactionPhase::Reverting;
    // Without it the next call finds the phase before, which it takes back as well.
    if let Err(error) = store.store_pending(&record) {
        store.note(&format!("revert {}: {error}", record.id));
    }
    let is_this_boot = record.origin.is_this_boot(store.host());
    // What a reboot has reset is not ours any more; only files are still there.
    let chosen = |setting: &&SavedSetting| is_this_boot || record.ends_confirmed || setting.address.is_persistent();
    let settings: Vec<SavedSetting> = record.settings.iter().filter(chosen).cloned().collect();
    let (settings, gone) = record.origin.located(store.host(), settings);
    let mut failures = Vec::new();
    for _ in 0..PASSES {
        for setting in &settings {
            put_back_one(store, setting);
        }
        failures = not_back(store, &settings);
        if failures.is_empty() {
            break;
        }
    }
    if !failures.is_empty() {
        store.note(&format!("revert {}: not back: {}", record.id, failures.join("; ")));
        return Err(TransactionError::NotBack { settings: failures });
    }
    settle(store.host(), settings.iter().map(|setting| &setting.address))?;
    forget(store, &record).map_err(|error| TransactionError::NotForgotten { why: error.to_string() })?;
    let taken_back = TakenBack { record, gone };
    let record = &taken_back.record;
    store.note(&format!("revert {}: everything is back{}", record.id, taken_back.gone_words()));
    if let Some(timer) = &record.timer {
        timer.disarm(store.host());
    }
    Ok(taken_back)
}

fn forget(store: &StateStore<'_>, record: &TransactionRecord) -> Result<(), TransactionError> {
    if record.ends_confirmed {
        store.remove_confirmed()?;
    }
    store.remove_pending()
}

/// Puts one value back. A refusal is found when values are read back.
fn put_back_one(store: &StateStore<'_>, setting: &SavedSetting) {
    if read(store.host(), &setting.address) == setting.prior {
        return;
    }
    if let Err(error) = take_back(store.host(), &setting.address, &setting.prior) {
        store.note(&format!("revert of {}: {error}", setting.words()));
    }
}

fn not_back(store: &StateStore<'_>, settings: &[SavedSetting]) -> Vec<String> {
    let mut failures = Vec::new();
    for setting in settings {
        let found = read(store.host(), &setting.address);
        let is_back = match &setting.prior {
            SettingReading::Value(_) => setting.address.is_back(&found, &setting.prior),
            // What was not there and cannot be removed, such as a file of the kernel, was never made by us.
            SettingReading::Absent => !setting.address.is_persistent() || found == SettingReading::Absent,
            SettingReading::Fixed(_) | SettingReading::Unreadable(_) => true,
        };
        if !is_back {
            failures.push(format!("{} is {found}, was {}", setting.words(), setting.prior));
        }
    }
    failures
}

/// Strikes settings off the state, so that a rollback does not wait for what cannot come back: a queue that others took away, a driver
/// that refuses. Returns their names. The caller holds the lock.
///
/// # Errors
/// None of them is of this knob, or the state cannot be read or written.
pub fn give_up(store: &StateStore<'_>, knob: &str) -> Result<Vec<String>, TransactionError> {
    let mut struck = Vec::new();
    let mut strike = |settings: &mut Vec<SavedSetting>| {
        settings.retain(|setting| {
            let is_kept = setting.knob != knob;
            if !is_kept && !struck.contains(&setting.words()) {
                struck.push(setting.words());
            }
            is_kept
        });
    };
    let (mut pending, mut confirmed) = (store.pending()?, store.confirmed()?);
    pending.iter_mut().for_each(|record| strike(&mut record.settings));
    confirmed.iter_mut().for_each(|confirmed| strike(&mut confirmed.settings));
    if struck.is_empty() {
        return Err(TransactionError::NothingOfKnob { knob: knob.to_owned() });
    }
    if let Some(record) = &pending {
        store.store_pending(record)?;
    }
    if let Some(confirmed) = &confirmed {
        store.store_confirmed(confirmed)?;
    }
    store.note(&format!("given up, and not put back: {}", struck.join("; ")));
    Ok(struck)
}

/// Takes a change back: one that waits, else everything that was confirmed. The caller holds the lock and has recovered.
///
/// # Errors
/// Nothing was changed, or some values are not back.
pub fn rollback(store: &StateStore<'_>) -> Result<TakenBack, TransactionError> {
    if let Some(pending) = store.pending()? {
        return put_back(store, pending);
    }
    let Some(confirmed) = store.confirmed()? else { return Err(TransactionError::NothingApplied) };
    let now = store.host().now();
    let record = TransactionRecord {
        version: VERSION,
        id: format!("rollback-{}-{}", now.epoch_seconds, store.journal_bytes()),
        profile: confirmed.profile,
        phase: TransactionPhase::Reverting,
        origin: confirmed.origin,
        epoch_seconds: now.epoch_seconds,
        deadline_boot_seconds: now.boot_seconds,
        timer: None,
        ends_confirmed: true,
        acknowledgement: None,
        is_trial: false,
        settings: confirmed.settings,
    };
    put_back(store, record)
}

/// What the timer calls: takes a change back if it still waits. The caller holds the lock and has recovered.
///
/// # Errors
/// Some values are not back.
pub fn expire(store: &StateStore<'_>, id: &str) -> Result<Option<TakenBack>, TransactionError> {
    match store.pending()? {
        Some(mut pending) if pending.id == id => {
            // This process is the timer: it must not end itself before it is done.
            pending.timer = None;
            put_back(store, pending).map(Some)
        }
        _ => Ok(None),
    }
}
