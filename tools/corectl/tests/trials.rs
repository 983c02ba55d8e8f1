//! Knobs tried on fake hosts: what is in force while a run is measured, and that everything is back, whatever happens.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use corectl::ab::{
    AbBench, AbError, AbResult, AbRun, AbSide, Candidate, JudgedFigure, Trial, TrialOptions, candidates,
};
use corectl::facts::Facts;
use corectl::host::HostAccess;
use corectl::knobs::Risk;
use corectl::plan::PlanLimits;
use corectl::profile::Profile;
use corectl::transaction::{ApplyOptions, RevertCommand, StateStore, recover};
use support::failing::FailingHost;
use support::machine::Machine;

const STATE: &str = "/var/lib/corelane/tune";

/// A knob, a target and a value.
type Value = (String, String, String);

fn values(host: &dyn HostAccess) -> Vec<Value> {
    let facts = Facts::gather(host);
    facts.settings.iter().map(|fact| (fact.knob.clone(), fact.target.clone(), fact.reading.to_string())).collect()
}

/// A bench that looks at the host instead of loading a server.
struct LookingBench<'h> {
    host: &'h dyn HostAccess,
    before: Vec<Value>,
    /// Knob and side, for each run.
    runs: Vec<(String, AbSide)>,
    /// A run that fails: knob, side and number.
    fails: Option<(&'static str, AbSide, u32)>,
}

impl<'h> LookingBench<'h> {
    fn new(host: &'h dyn HostAccess) -> Self {
        LookingBench { host, before: values(host), runs: Vec::new(), fails: None }
    }
}

impl AbBench for LookingBench<'_> {
    fn begin(&mut self, _knob: &str) -> Result<(), AbError> {
        assert_eq!(values(self.host), self.before, "everything is back before the next knob");
        Ok(())
    }

    fn measure(&mut self, run: AbRun<'_>) -> Result<(), AbError> {
        let now = values(self.host);
        let differs: Vec<&Value> = now.iter().filter(|value| !self.before.contains(value)).collect();
        match run.side {
            AbSide::A => assert!(differs.is_empty(), "{}: A differs: {differs:?}", run.knob),
            AbSide::B => {
                assert!(differs.iter().any(|(knob, ..)| knob == run.knob), "{}: B does not differ", run.knob);
                // New queues have spreading and XPS of their own, because nothing else is possible.
                let is_other = |value: &&&Value| value.0 != run.knob && run.knob != "nic.channels";
                let others: Vec<&&Value> = differs.iter().filter(is_other).collect();
                assert!(others.is_empty(), "{}: others differ too: {others:?}", run.knob);
            }
        }
        self.runs.push((run.knob.to_owned(), run.side));
        match self.fails {
            Some(fails) if fails == (fails.0, run.side, run.number) && fails.0 == run.knob => {
                Err(AbError::Run { what: "coreperf run".into(), why: "connection reset".into() })
            }
            _ => Ok(()),
        }
    }

    fn judge(&mut self, knob: &str) -> Result<Vec<JudgedFigure>, AbError> {
        assert_eq!(values(self.host), self.before, "{knob}: everything is back before it is judged");
        Ok(Vec::new())
    }
}

/// A knob that gives up a protection is tried where somebody has agreed, and the others are tried without that.
#[test]
fn a_knob_that_gives_up_a_protection_is_tried_with_an_acknowledgement_only() {
    let mut machine = Machine::named("igb-4");
    machine.files.insert("/proc/sys/kernel/io_uring_disabled".into(), "2\n".into());
    let host = machine.in_memory();
    let facts = Facts::gather(&host);
    let limits = PlanLimits { only: Vec::new(), max_risk: Some(Risk::Security) };
    let names = ["kernel.io_uring_disabled".to_owned()];
    let chosen = candidates(&facts, &Profile::named("safe").unwrap(), &limits, &names).unwrap();
    assert_eq!(chosen[0].why_not, None);
    let (store, before) = (StateStore::new(&host, STATE), values(&host));
    let mut options = options(1);
    let mut bench = LookingBench::new(&host);
    let row = Trial::new(&store, &facts, &options).knob(&chosen[0], &mut bench).unwrap();
    let AbResult::NotTried { why } = row.result else { panic!("{row:?}") };
    assert!(why.contains("--acknowledge") && bench.runs.is_empty(), "{why}");
    options.apply.acknowledgement = Some("ops, for a trial".into());
    let row = Trial::new(&store, &facts, &options).knob(&chosen[0], &mut bench).unwrap();
    assert!(matches!(row.result, AbResult::Tried { .. }), "{row:?}");
    assert_eq!(values(&host), before);
}

fn options(rounds: u32) -> TrialOptions {
    let revert = RevertCommand { program: "corectl".into(), arguments: vec!["tune".into()] };
    TrialOptions {
        rounds,
        apply: ApplyOptions { revert_after_seconds: 60, revert, acknowledgement: None, is_trial: true },
    }
}

fn chosen(host: &dyn HostAccess, profile: &str, names: &[&str]) -> (Facts, Vec<Candidate>) {
    let facts = Facts::gather(host);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let limits = PlanLimits { only: Vec::new(), max_risk: Some(Risk::Perf) };
    let chosen = candidates(&facts, &Profile::named(profile).unwrap(), &limits, &names).unwrap();
    (facts, chosen)
}

#[test]
fn each_knob_is_tried_alone_and_everything_is_back() {
    for (name, profile) in
        [("virtio-16", "throughput"), ("igb-4", "throughput"), ("ice-128", "throughput"), ("mlx5-64", "latency")]
    {
        let host = Machine::named(name).in_memory();
        let before = values(&host);
        let (facts, chosen) = chosen(&host, profile, &[]);
        let (store, options) = (StateStore::new(&host, STATE), options(2));
        let mut bench = LookingBench::new(&host);
        let trial = Trial::new(&store, &facts, &options);
        let mut tried = 0;
        for candidate in &chosen {
            let row = trial.knob(candidate, &mut bench).unwrap();
            assert_eq!(values(&host), before, "{name}: {}", row.knob);
            if let AbResult::Tried { read_back, .. } = row.result {
                assert_eq!(read_back, 2 * 8, "before and after each of eight runs");
                tried += 1;
            }
        }
        assert!(tried >= 8, "{name}: only {tried} were tried");
        let count = |side| bench.runs.iter().filter(|run| run.1 == side).count();
        assert_eq!((count(AbSide::A), count(AbSide::B)), (4 * tried, 4 * tried), "{name}");
        assert!(store.pending().unwrap().is_none() && store.confirmed().unwrap().is_none());
    }
}

#[test]
fn both_orders_occur_and_pairs_are_neighbours() {
    let host = Machine::named("igb-4").in_memory();
    let (facts, chosen) = chosen(&host, "safe", &["net.core.somaxconn"]);
    let (store, options) = (StateStore::new(&host, STATE), options(8));
    let mut bench = LookingBench::new(&host);
    Trial::new(&store, &facts, &options).knob(&chosen[0], &mut bench).unwrap();
    let sides: Vec<AbSide> = bench.runs.iter().map(|run| run.1).collect();
    let rounds: Vec<&[AbSide]> = sides.chunks(4).collect();
    let abba = rounds.iter().filter(|round| **round == [AbSide::A, AbSide::B, AbSide::B, AbSide::A]).count();
    let baab = rounds.iter().filter(|round| **round == [AbSide::B, AbSide::A, AbSide::A, AbSide::B]).count();
    assert_eq!(abba + baab, 8, "{rounds:?}");
    assert!((2..=6).contains(&abba), "{rounds:?}");
}

#[test]
fn what_is_not_tried_says_why() {
    let host = Machine::named("igb-4").in_memory();
    let names = ["nic.xps", "nic.coalesce.adaptive-rx", "nic.feature.tso", "nic.flow_hash.tcp4"];
    let (facts, mut chosen) = chosen(&host, "throughput", &names);
    let limits = PlanLimits { only: Vec::new(), max_risk: Some(Risk::Safe) };
    let held = candidates(&facts, &Profile::named("throughput").unwrap(), &limits, &["nic.ring.rx".into()]).unwrap();
    chosen.extend(held);
    let why: Vec<Option<&str>> = chosen.iter().map(|candidate| candidate.why_not.as_deref()).collect();
    assert_eq!(why[0], None);
    assert!(why[1].unwrap().contains("no such setting"), "{why:?}");
    assert_eq!(why[2..], [Some("it is so already"), Some("it is so already"), Some("needs --max-risk perf")]);
    let unnamed = candidates(&facts, &Profile::named("safe").unwrap(), &limits, &["nic.ring.rx".into()]).unwrap();
    assert!(unnamed[0].why_not.as_ref().unwrap().contains("does not name it"));
    let unknown = candidates(&facts, &Profile::named("safe").unwrap(), &limits, &["nic.ring.rxx".into()]);
    assert!(unknown.unwrap_err().to_string().contains("did you mean nic.ring.rx?"));
}

#[test]
fn a_run_that_fails_under_b_ends_its_knob_and_under_a_everything() {
    let host = Machine::named("igb-4").in_memory();
    let before = values(&host);
    let (facts, chosen) = chosen(&host, "safe", &["net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog"]);
    let (store, options) = (StateStore::new(&host, STATE), options(1));
    let trial = Trial::new(&store, &facts, &options);
    let mut bench = LookingBench::new(&host);
    bench.fails = Some(("net.core.somaxconn", AbSide::B, 1));
    let row = trial.knob(&chosen[0], &mut bench).unwrap();
    let AbResult::NotTried { why } = row.result else { panic!("{row:?}") };
    assert_eq!(why, "with B in force, coreperf run: connection reset");
    assert_eq!(values(&host), before);
    assert!(matches!(trial.knob(&chosen[1], &mut bench).unwrap().result, AbResult::Tried { .. }));
    bench.fails = Some(("net.core.somaxconn", AbSide::A, 1));
    let error = trial.knob(&chosen[0], &mut bench).unwrap_err();
    assert_eq!(error.to_string(), "coreperf run: connection reset");
    assert_eq!(values(&host), before);
    assert!(store.pending().unwrap().is_none());
}

/// A driver that answers success and does nothing is not measured as if it had.
#[test]
fn a_knob_that_lies_is_found_before_it_is_measured() {
    let mut machine = Machine::named("igb-4");
    machine.files.insert("/fake/ignored".into(), "/proc/sys/net/core/somaxconn".into());
    let host = machine.in_memory();
    let (facts, chosen) = chosen(&host, "safe", &["net.core.somaxconn"]);
    let (store, options) = (StateStore::new(&host, STATE), options(1));
    let mut bench = LookingBench::new(&host);
    let row = Trial::new(&store, &facts, &options).knob(&chosen[0], &mut bench).unwrap();
    let AbResult::NotTried { why } = row.result else { panic!("{row:?}") };
    assert!(why.contains("read back before a run: net.core.somaxconn is 4096, not 65535"), "{why}");
    assert!(bench.runs.iter().all(|run| run.1 == AbSide::A), "{:?}", bench.runs);
}

/// Killed at every step: what waits for its timer is taken back by it, or by the next call.
#[test]
fn a_trial_that_is_killed_at_any_step_leaves_the_host_as_it_was() {
    let steps = {
        let host = Machine::named("igb-4").in_memory();
        let sound = FailingHost::sound(&host);
        try_one(&sound).unwrap();
        sound.steps()
    };
    assert!(steps > 20, "{steps}");
    for stop in 0..steps {
        let host = Machine::named("igb-4").in_memory();
        let before = values(&host);
        let error = try_one(&FailingHost::stopping(&host, stop));
        // The last step is a line of the journal, which nobody misses.
        assert!(error.is_err() || stop + 1 == steps, "step {stop}");
        host.pass_seconds(61);
        recover(&StateStore::new(&host, STATE)).unwrap();
        assert_eq!(values(&host), before, "step {stop}");
    }
}

fn try_one(host: &dyn HostAccess) -> Result<(), AbError> {
    struct BlindBench;
    impl AbBench for BlindBench {
        fn begin(&mut self, _knob: &str) -> Result<(), AbError> {
            Ok(())
        }
        fn measure(&mut self, _run: AbRun<'_>) -> Result<(), AbError> {
            Ok(())
        }
        fn judge(&mut self, _knob: &str) -> Result<Vec<JudgedFigure>, AbError> {
            Ok(Vec::new())
        }
    }
    let (facts, chosen) = chosen(host, "throughput", &["nic.channels", "nic.gro_flush_timeout"]);
    let (store, options) = (StateStore::new(host, STATE), options(1));
    let trial = Trial::new(&store, &facts, &options);
    for candidate in &chosen {
        let row = trial.knob(candidate, &mut BlindBench)?;
        if let AbResult::NotTried { why } = row.result {
            return Err(AbError::Run { what: row.knob, why });
        }
    }
    Ok(())
}
