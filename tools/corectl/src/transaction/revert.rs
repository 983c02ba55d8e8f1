//! Prior values put back: at once after a failed write, by an operator, or when a change was not confirmed in time.
//!
//! **Invariants**: the record stays until every value was read back as it was. Values are put back in the order of writing, because
//! a driver that gets its old queues again forgets what is said of them.

use super::record::{SavedSetting, TransactionPhase, TransactionRecord, VERSION};
use super::{StateStore, TransactionError};
use crate::facts::boot_id;
use crate::setting::{SettingReading, read, settle, take_back};

/// Times that everything is gone through: a setting may only be possible after another, and drivers reset what was put back.
const PASSES: u32 = 3;

/// Puts everything of a record back, and forgets it.
///
/// # Errors
/// Some values are not back; the record stays, and the next call tries again.
pub(super) fn put_back(store: &StateStore<'_>, mut record: TransactionRecord) -> Result<(), TransactionError> {
    record.phase = TransactionPhase::Reverting;
    store.store_pending(&record)?;
    let is_this_boot = record.boot_id == boot_id(store.host());
    // What a reboot has reset is not ours any more; only files are still there.
    let chosen = |setting: &&SavedSetting| is_this_boot || record.ends_confirmed || setting.address.is_persistent();
    let settings: Vec<&SavedSetting> = record.settings.iter().filter(chosen).collect();
    let mut failures = Vec::new();
    for _ in 0..PASSES {
        for setting in &settings {
            put_back_one(store, setting)?;
        }
        failures = not_back(store, &settings);
        if failures.is_empty() {
            break;
        }
    }
    if !failures.is_empty() {
        store.note(&format!("revert {}: not back: {}", record.id, failures.join("; ")))?;
        return Err(TransactionError::NotBack { settings: failures });
    }
    settle(store.host(), settings.iter().map(|setting| &setting.address))?;
    if record.ends_confirmed {
        store.remove_confirmed()?;
    }
    store.remove_pending()?;
    store.note(&format!("revert {}: everything is back", record.id))?;
    if let Some(timer) = &record.timer {
        timer.disarm(store.host());
    }
    Ok(())
}

/// Puts one value back. A refusal is found when values are read back; what may not fail is the journal.
fn put_back_one(store: &StateStore<'_>, setting: &SavedSetting) -> Result<(), TransactionError> {
    if read(store.host(), &setting.address) == setting.prior {
        return Ok(());
    }
    if let Err(error) = take_back(store.host(), &setting.address, &setting.prior) {
        store.note(&format!("revert of {}: {error}", setting.words()))?;
    }
    Ok(())
}

fn not_back(store: &StateStore<'_>, settings: &[&SavedSetting]) -> Vec<String> {
    let mut failures = Vec::new();
    for setting in settings {
        let found = read(store.host(), &setting.address);
        let is_back = match &setting.prior {
            SettingReading::Value(_) => found == setting.prior || is_unplugged(store, setting),
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

/// Whether the card of a setting is no longer in the host: nothing of it can be put back.
fn is_unplugged(store: &StateStore<'_>, setting: &SavedSetting) -> bool {
    let folder = setting.address.nic().map(|nic| format!("/sys/class/net/{nic}"));
    folder.is_some_and(|folder| store.host().list(&folder).is_err_and(|error| error.is_absent()))
}

/// Takes a change back: one that waits, else everything that was confirmed. The caller holds the lock and has recovered.
///
/// # Errors
/// Nothing was changed, or some values are not back.
pub fn rollback(store: &StateStore<'_>) -> Result<TransactionRecord, TransactionError> {
    if let Some(pending) = store.pending()? {
        put_back(store, pending.clone())?;
        return Ok(pending);
    }
    let Some(confirmed) = store.confirmed()? else { return Err(TransactionError::NothingApplied) };
    let now = store.host().now();
    let record = TransactionRecord {
        version: VERSION,
        id: format!("rollback-{}-{}", now.epoch_seconds, store.journal_bytes()),
        profile: confirmed.profile,
        phase: TransactionPhase::Reverting,
        boot_id: boot_id(store.host()),
        epoch_seconds: now.epoch_seconds,
        deadline_boot_seconds: now.boot_seconds,
        timer: None,
        ends_confirmed: true,
        acknowledgement: None,
        settings: confirmed.settings,
    };
    put_back(store, record.clone())?;
    Ok(record)
}

/// What the timer calls: takes a change back if it still waits. The caller holds the lock and has recovered.
///
/// # Errors
/// Some values are not back.
pub fn expire(store: &StateStore<'_>, id: &str) -> Result<Option<TransactionRecord>, TransactionError> {
    match store.pending()? {
        Some(mut pending) if pending.id == id => {
            // This process is the timer: it must not end itself before it is done.
            pending.timer = None;
            put_back(store, pending.clone())?;
            Ok(Some(pending))
        }
        _ => Ok(None),
    }
}
