//! Killed at every step; with writes that fail, a full disk, a damaged state.

use corectl::host::HostAccess;
use corectl::transaction::{StateStore, TransactionError, confirm, recover, rollback};

use super::support::failing::FailingHost;
use super::support::machine::Machine;
use super::{STATE, applied, copy, small, values};

/// What an operator does after a crash: look, then take back.
fn recovered(host: &dyn HostAccess) {
    let store = StateStore::new(host, STATE);
    recover(&store).unwrap();
    // First what waits, then what was confirmed before it.
    for _ in 0..2 {
        match rollback(&store) {
            Ok(_) | Err(TransactionError::NothingApplied) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(rollback(&store), Err(TransactionError::NothingApplied)));
}

#[test]
fn a_kill_at_any_step_leaves_what_the_next_call_brings_back() {
    let original = small().in_memory();
    let before = values(&original);
    // Apply, confirm, apply another profile, confirm, roll back: killed in each of its steps.
    let life = |host: &dyn HostAccess| -> Result<(), TransactionError> {
        let store = StateStore::new(host, STATE);
        applied(host, "safe")?;
        confirm(&store)?;
        applied(host, "extreme")?;
        confirm(&store)?;
        rollback(&store)?;
        Ok(())
    };
    let counted = copy(&original);
    let sound = FailingHost::sound(&counted);
    life(&sound).unwrap();
    assert_eq!(values(&counted), before);
    assert!(sound.steps() > 100, "{}", sound.steps());
    for stop in 0..sound.steps() {
        let host = copy(&original);
        let killed = FailingHost::stopping(&host, stop);
        // The last step is a line of the journal, which nobody misses.
        assert!(life(&killed).is_err() || stop + 1 == sound.steps(), "step {stop}");
        recovered(&host);
        assert!(values(&host) == before, "step {stop}");
    }
}

/// A small generator: the same numbers for the same seed.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

#[test]
fn failures_of_single_writes_leave_nothing_behind() {
    let original = Machine::named("ice-128").in_memory();
    let before = values(&original);
    let counted = copy(&original);
    let sound = FailingHost::sound(&counted);
    applied(&sound, "throughput").unwrap();
    let writes = sound.writes();
    for seed in 0..30 {
        let host = copy(&original);
        let mut random = numbers(seed + 1);
        // One to four failures: the later ones hit the way back.
        let count = 1 + seed % 4;
        let failing: Vec<u64> =
            random.by_ref().take(usize::try_from(count).unwrap()).map(|number| number % (2 * writes)).collect();
        let result = applied(&FailingHost::with_failing_writes(&host, &failing), "throughput");
        let hit = failing.iter().any(|write| *write < writes);
        assert_eq!(result.is_err(), hit, "seed {seed}, writes {failing:?}");
        if matches!(result, Err(TransactionError::Refused { .. })) {
            assert_eq!(values(&host), before, "seed {seed}: a refused change is back at once");
        }
        recovered(&host);
        assert_eq!(values(&host), before, "seed {seed}, writes {failing:?}");
    }
}

#[test]
fn a_full_disk_keeps_nothing_from_going_back() {
    let host = Machine::named("ice-128").in_memory();
    let before = values(&host);
    applied(&host, "throughput").unwrap();
    host.pass_seconds(60);
    let full = FailingHost::full(&host, STATE);
    let said = recover(&StateStore::new(&full, STATE)).unwrap().unwrap().said;
    assert!(said.contains("every value is back as before"), "{said}");
    assert_eq!(values(&host), before);
    assert!(applied(&full, "throughput").is_err(), "nothing is begun that could not be remembered");
    assert_eq!(values(&host), before);
}

#[test]
fn a_damaged_file_of_what_was_confirmed_is_in_the_way_of_new_changes_only() {
    let host = Machine::named("igb-4").in_memory();
    applied(&host, "safe").unwrap();
    confirm(&StateStore::new(&host, STATE)).unwrap();
    let safe = values(&host);
    applied(&host, "throughput").unwrap();
    host.store(&format!("{STATE}/confirmed.json"), "{\"version\": 1,").unwrap();
    host.pass_seconds(60);
    let store = StateStore::new(&host, STATE);
    assert!(recover(&store).unwrap().unwrap().said.contains("not confirmed in time"));
    assert_eq!(values(&host), safe);
    let refused = applied(&host, "throughput").unwrap_err().to_string();
    assert!(refused.contains("confirmed.json is not a state of corectl") && refused.contains("`journal`"), "{refused}");
    assert_eq!(values(&host), safe);
}

#[test]
fn a_state_of_another_version_is_named_and_left_alone() {
    for file in ["pending.json", "confirmed.json"] {
        let host = Machine::named("igb-4").in_memory();
        applied(&host, "safe").unwrap();
        let store = StateStore::new(&host, STATE);
        if file == "confirmed.json" {
            confirm(&store).unwrap();
        }
        let tuned = values(&host);
        let path = format!("{STATE}/{file}");
        let other = host.read(&path).unwrap().replace("\"version\": 1", "\"version\": 2");
        host.store(&path, &other).unwrap();
        let said = rollback(&store).unwrap_err().to_string();
        assert!(said.contains(&format!("{path} is not a state of corectl: version 2; this corectl reads")), "{said}");
        assert_eq!((host.read(&path).unwrap(), values(&host)), (other, tuned));
    }
}
