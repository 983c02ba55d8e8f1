//! A plan carried out.
//!
//! **Invariants**: as in [`super`]. A write that fails takes everything back at once. After the last write every setting is looked at
//! again, because writing one can reset another.

use super::core_map;
use super::origin::ChangeOrigin;
use super::record::{SavedSetting, TransactionPhase, TransactionRecord, VERSION};
use super::{ArmedTimer, PASSES, RevertCommand, StateStore, TransactionError, revert};
use crate::facts::Facts;
use crate::host::HostError;
use crate::plan::{LineAction, TunePlan};
use crate::setting::{SettingAddress, SettingReading, WriteOrder, read, shown, write};

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Seconds until it is taken back unless it is confirmed.
    pub revert_after_seconds: u64,
    /// How corectl is called to take it back.
    pub revert: RevertCommand,
    /// What an operator wrote to give up a protection.
    pub acknowledgement: Option<String>,
    /// Whether it is only tried out, and must not be confirmed.
    pub is_trial: bool,
}

/// Carries out a plan: it then waits to be confirmed. The caller holds the lock and has recovered.
///
/// # Errors
/// A change waits already, the plan has problems, or the host refuses; in that case everything is back as before.
pub fn apply(
    store: &StateStore<'_>,
    facts: &Facts,
    plan: &TunePlan,
    options: &ApplyOptions,
) -> Result<TransactionRecord, TransactionError> {
    if !plan.problems.is_empty() {
        return Err(TransactionError::Problems { problems: plan.problems.clone() });
    }
    if let Some(waiting) = store.pending()? {
        return Err(TransactionError::Waiting { profile: waiting.profile });
    }
    // What cannot be confirmed or taken back later is not begun.
    if let Some(confirmed) = store.confirmed()? {
        confirmed.origin.check(store)?;
    }
    let weakening = plan.changes().filter(|line| line.weakens);
    let mut knobs: Vec<String> = weakening.map(|line| line.knob.clone()).collect();
    knobs.dedup();
    if !knobs.is_empty() && options.acknowledgement.is_none() {
        return Err(TransactionError::Unacknowledged { knobs });
    }
    let mut record = prepare(store, facts, plan, options)?;
    store.bound_journal()?;
    store.store_pending(&record)?;
    arm(store, &mut record, options)?;
    store.note(&format!("apply {} begins: profile {}, {} settings", record.id, record.profile, record.settings.len()));
    if let Err((at, error)) = write_all(store, &mut record) {
        let setting = &record.settings[at];
        let refused =
            TransactionError::Refused { setting: setting.words(), knob: setting.knob.clone(), why: error.to_string() };
        store.note(&format!("apply {}: {} failed: {error}", record.id, setting.words()));
        revert::put_back(store, record)?;
        return Err(refused);
    }
    record.phase = TransactionPhase::Pending;
    store.store_pending(&record)?;
    store.note(&format!("apply {} is written, and waits to be confirmed", record.id));
    Ok(record)
}

/// Looks at everything that is going to change once more: facts may be old, and these are the values that come back.
fn prepare(
    store: &StateStore<'_>,
    facts: &Facts,
    plan: &TunePlan,
    options: &ApplyOptions,
) -> Result<TransactionRecord, TransactionError> {
    let host = store.host();
    let now = host.now();
    let mut settings: Vec<SavedSetting> = Vec::new();
    for line in plan.lines.iter().filter(|line| matches!(line.action, LineAction::Change | LineAction::Keep)) {
        settings.push(SavedSetting {
            knob: line.knob.clone(),
            target: line.target.clone(),
            address: line.address.clone(),
            prior: read(host, &line.address),
            wanted: Some(line.wanted.clone()),
        });
    }
    settings.extend(guarded(store, facts, plan));
    settings.sort_by_key(|setting| setting.address.order());
    Ok(TransactionRecord {
        version: VERSION,
        id: format!("{}-{}", now.epoch_seconds, store.journal_bytes()),
        profile: plan.profile.clone(),
        phase: TransactionPhase::Prepared,
        origin: ChangeOrigin::here(host, &settings),
        epoch_seconds: now.epoch_seconds,
        deadline_boot_seconds: now.boot_seconds + options.revert_after_seconds,
        timer: None,
        ends_confirmed: false,
        acknowledgement: options.acknowledgement.clone(),
        is_trial: options.is_trial,
        settings,
    })
}

/// Settings that the plan does not name, of cards whose driver may forget them.
fn guarded(store: &StateStore<'_>, facts: &Facts, plan: &TunePlan) -> Vec<SavedSetting> {
    let resets = plan.changes().filter(|line| line.address.resets_others());
    let nics: Vec<&str> = resets.filter_map(|line| line.address.nic()).collect();
    let is_named = |address: &SettingAddress| {
        let named = plan.lines.iter().filter(|line| matches!(line.action, LineAction::Change | LineAction::Keep));
        named.into_iter().any(|line| line.address == *address)
    };
    let of_nics = facts.settings.iter().filter(|setting| setting.address.nic().is_some_and(|nic| nics.contains(&nic)));
    let guarded = of_nics.filter(|setting| !is_named(&setting.address)).map(|setting| SavedSetting {
        knob: setting.knob.clone(),
        target: setting.target.clone(),
        address: setting.address.clone(),
        prior: read(store.host(), &setting.address),
        wanted: None,
    });
    guarded.filter(|setting| matches!(setting.prior, SettingReading::Value(_))).collect()
}

fn arm(store: &StateStore<'_>, record: &mut TransactionRecord, options: &ApplyOptions) -> Result<(), TransactionError> {
    match ArmedTimer::arm(store.host(), &options.revert, &record.id, options.revert_after_seconds) {
        Ok(timer) => {
            record.timer = Some(timer);
            record.phase = TransactionPhase::Writing;
            store.store_pending(record)
        }
        Err(error) => {
            store.remove_pending()?;
            Err(error.into())
        }
    }
}

fn write_all(store: &StateStore<'_>, record: &mut TransactionRecord) -> Result<(), (usize, HostError)> {
    for pass in 0..PASSES {
        if pass > 0 && core_map::refresh(store.host(), &mut record.settings) {
            let kept = store.store_pending(record);
            kept.map_err(|error| (0, HostError::Refused { what: "state".into(), why: error.to_string() }))?;
        }
        for (at, setting) in record.settings.iter().enumerate() {
            write_one(store, setting).map_err(|error| (at, error))?;
        }
    }
    Ok(())
}

fn write_one(store: &StateStore<'_>, setting: &SavedSetting) -> Result<(), HostError> {
    let Some(goal) = setting.goal().filter(|_| !setting.address.waits_for_confirmation()) else { return Ok(()) };
    let found = read(store.host(), &setting.address);
    if found.shows(goal) {
        return Ok(());
    }
    if setting.wanted.is_none() && found == SettingReading::Absent {
        // A queue that is no longer there.
        return Ok(());
    }
    store.note(&format!("write {}: {found} -> {}", setting.words(), shown(goal)));
    write(store.host(), &setting.address, goal)?;
    if setting.address.order() == WriteOrder::Channels {
        // All that follows is about the queues there are now.
        return check_queues(store, setting, goal);
    }
    Ok(())
}

fn check_queues(store: &StateStore<'_>, setting: &SavedSetting, goal: &str) -> Result<(), HostError> {
    let found = read(store.host(), &setting.address);
    if found.value() == Some(goal) {
        return Ok(());
    }
    let why = format!("the driver answered success for {goal}, and shows {found}");
    Err(HostError::Refused { what: setting.address.to_string(), why })
}
