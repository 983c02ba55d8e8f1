//! What was confirmed, made again after a boot.
//!
//! **Not**: anything that was not confirmed, and not files, which a boot keeps.
//!
//! **Invariants**: one setting that cannot be written keeps none of the others from it. The map of cores gets the numbers that
//! interrupts have in this boot.
//!
//! **Source**: docs/operations.md, "Tune a host".

use super::record::SavedSetting;
use super::{PASSES, StateStore, TransactionError, core_map};
use crate::host::HostError;
use crate::setting::{read, shown, write};

/// Makes the confirmed settings again. What could not be written, in words. The caller holds the lock and has recovered.
///
/// # Errors
/// Nothing was confirmed, or the state cannot be read or written.
pub fn reapply(store: &StateStore<'_>) -> Result<Vec<String>, TransactionError> {
    let mut confirmed = store.confirmed()?.ok_or(TransactionError::NothingApplied)?;
    store.note(&format!("boot: profile {}, {} settings", confirmed.profile, confirmed.settings.len()));
    let mut failures = Vec::new();
    for _ in 0..PASSES {
        failures =
            confirmed.settings.iter().filter_map(|setting| Some(failure(setting, &again(store, setting)?))).collect();
    }
    if core_map::refresh(store.host(), &mut confirmed.settings) {
        let map = confirmed.settings.iter().find(|setting| setting.knob == core_map::KNOB);
        let stored =
            map.and_then(|setting| Some((setting, write(store.host(), &setting.address, setting.goal()?).err()?)));
        failures.extend(stored.map(|(setting, error)| failure(setting, &error)));
        store.store_confirmed(&confirmed)?;
    }
    for failure in &failures {
        store.note(&format!("boot: {failure}"));
    }
    Ok(failures)
}

fn failure(setting: &SavedSetting, error: &HostError) -> String {
    format!("{}: {error}", setting.words())
}

/// Writes a setting if it is not so; the error if that fails.
fn again(store: &StateStore<'_>, setting: &SavedSetting) -> Option<HostError> {
    let wanted = setting.wanted.as_deref().filter(|_| !setting.address.is_persistent())?;
    let found = read(store.host(), &setting.address);
    if found.shows(wanted) {
        return None;
    }
    // A journal that cannot be written is no reason to leave a host as it is.
    store.note(&format!("boot: write {}: {found} -> {}", setting.words(), shown(wanted)));
    write(store.host(), &setting.address, wanted).err()
}
