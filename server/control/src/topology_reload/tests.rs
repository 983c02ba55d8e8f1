//! What becomes of a topology's file and of claims about it: the lines that are logged, and what is in force.

use std::{cell::RefCell, time::Duration};

use reactor::{
    CoreId, CoreSpec, Host,
    sim::{NetworkOptions, World},
};

use super::*;

const NODE: NodeId = NodeId(2);

/// What the file looks like.
const MARK: Mark = Mark { modified_ns: 1, length_bytes: 2, inode: 3 };

fn text(epoch: u32, rest: &str) -> String {
    format!("cluster = \"blue\"\nepoch = {epoch}\n{rest}\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n")
}

/// The same with a second node, which has half of the slots.
fn text_of_two(epoch: u32) -> String {
    text(epoch, "") + "[[node]]\nid = 2\naddress = \"10.0.0.2:7401\"\n"
}

struct Process {
    in_force: RefCell<Option<Arc<Topology>>>,
    slots_lost: Cell<u64>,
    lines: RefCell<Vec<String>>,
}

impl Process {
    fn new(text: &str) -> Self {
        let in_force = RefCell::new(Some(Arc::new(Topology::parse(text).unwrap())));
        Self { in_force, slots_lost: Cell::new(0), lines: RefCell::default() }
    }

    fn reloader(&self, reactor: &Reactor, me: Option<NodeId>) -> TopologyReloader {
        let source = TopologySource::in_place("t.toml", || Ok(String::new()), || Some(MARK));
        TopologyReloader::new(reactor, Some(source), me, self.topology().as_deref())
    }

    /// What was logged since the last look.
    fn lines(&self) -> Vec<String> {
        self.lines.take()
    }
}

impl TopologyUser for Process {
    fn topology(&self) -> Option<Arc<Topology>> {
        self.in_force.borrow().clone()
    }

    fn put_topology(&self, next: Arc<Topology>, slots_lost: u64) {
        self.in_force.replace(Some(next));
        self.slots_lost.set(slots_lost);
    }

    fn log_topology(&self, _: LogLevel, event: &str, fields: LogFields<'_>) {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        self.lines.borrow_mut().push(format!("{event}{}", fields.concat()));
    }
}

/// Runs `test` on a core.
fn on_a_core(test: impl FnOnce(&Reactor) + Send + 'static) {
    let mut world = World::new(1, NetworkOptions::default());
    let process = world.add_process("process");
    let mut host = world.host(process);
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "control".into(), doorbells: host.doorbells(1).unwrap() };
    let (done, ended) = std::sync::mpsc::channel();
    let body = move |reactor: Reactor| {
        test(&reactor);
        done.send(()).unwrap();
    };
    host.start_core(spec, Box::new(body)).unwrap();
    drop(host);
    world.run_for(Duration::from_secs(1));
    ended.try_recv().expect("the test has run to its end");
}

#[test]
fn only_what_follows_is_put_in_force_and_the_rest_is_refused_by_name() {
    on_a_core(|reactor| {
        let process = Process::new(&text(5, ""));
        let reloader = process.reloader(reactor, None);
        let cases: [(&str, u32, &[&str]); 5] = [
            (&text(6, ""), 6, &["topology_loaded epoch=6 file=t.toml cause=signal"]),
            (&text(6, ""), 6, &["topology_unchanged epoch=6 file=t.toml cause=signal"]),
            (&text(5, ""), 6, &["topology_refused file=t.toml error=epoch is 5", REFUSED_REMEDY]),
            (&text(6, "# other"), 6, &["topology_refused file=t.toml error=it differs", REFUSED_REMEDY]),
            (&text(0, ""), 6, &["topology_refused error=t.toml:2: "]),
        ];
        for (text, epoch, parts) in cases {
            reloader.adopt(Ok(text.to_owned()), ReloadCause::Signal, &process);
            let lines = process.lines();
            assert!(lines.len() == 1 && parts.iter().all(|part| lines[0].contains(part)), "{lines:?}: {parts:?}");
            assert_eq!((epoch_of(&process), reloader.metrics().epoch.value()), (epoch, u64::from(epoch)), "{text}");
        }
        reloader.adopt(Err(io::Error::other("no such disk")), ReloadCause::Change, &process);
        let lines = process.lines();
        assert_eq!(lines, [format!("topology_refused file=t.toml error=no such disk remedy={REFUSED_REMEDY}")]);
        let metrics = reloader.metrics();
        assert_eq!((metrics.reloads.value(), metrics.refused.value(), metrics.slots_lost.value()), (1, 4, 0));
    });
}

#[test]
fn a_node_counts_what_it_owns_and_what_it_loses() {
    on_a_core(|reactor| {
        let process = Process::new(&text_of_two(1));
        let reloader = process.reloader(reactor, Some(NODE));
        let owned = reloader.metrics().slots_owned.value();
        assert!(owned > 0);
        reloader.adopt(Ok(text(2, "")), ReloadCause::Change, &process);
        let loaded = format!("topology_loaded epoch=2 file=t.toml cause=change slots_owned=0 slots_lost={owned}");
        assert_eq!(process.lines(), [loaded]);
        assert_eq!((reloader.metrics().slots_owned.value(), process.slots_lost.get()), (0, owned));
        assert_eq!(reloader.metrics().slots_lost.value(), owned);
    });
}

#[test]
fn a_claim_has_the_file_read_and_is_reported_once_when_the_file_is_older() {
    on_a_core(|reactor| {
        let process = Process::new(&text(5, ""));
        let reloader = process.reloader(reactor, None);
        let claim = |epoch, node| reloader.follow_hint(TopologyHint { node, epoch }, &process);
        claim(5, Some(NODE));
        assert_eq!(reloader.metrics().hints.value(), 0, "what is known is no hint");
        // The highest claim is the one that is reported.
        claim(8, Some(NODE));
        claim(7, None);
        assert_eq!(reloader.metrics().hints.value(), 2);
        reloader.adopt(Ok(text(5, "")), ReloadCause::Peer, &process);
        let behind = format!("topology_behind node=2 claims=8 epoch=5 file=t.toml remedy={BEHIND_REMEDY}");
        assert_eq!(process.lines(), [behind], "and nothing is said of a file that has not changed");
        claim(8, None);
        reloader.adopt(Ok(text(5, "")), ReloadCause::Peer, &process);
        assert_eq!(process.lines(), Vec::<String>::new(), "said once");
        claim(9, None);
        reloader.adopt(Ok(text(9, "")), ReloadCause::Peer, &process);
        assert_eq!(process.lines(), ["topology_loaded epoch=9 file=t.toml cause=peer"], "borne out");
        claim(10, None);
        reloader.adopt(Ok(text(9, "")), ReloadCause::Peer, &process);
        assert!(process.lines()[0].starts_with("topology_behind node=unknown claims=10 epoch=9"));
    });
}

#[test]
fn the_file_is_looked_at_before_and_while_the_process_serves() {
    on_a_core(|reactor| {
        let process = Process::new(&text(1, ""));
        let reloader = process.reloader(reactor, None);
        assert_eq!((reloader.is_clustered(), reloader.name()), (true, "t.toml"));
        assert_eq!((reloader.marks_at_start(), reloader.look().take()), (vec![MARK], Some(vec![MARK])));
        assert!(matches!(reloader.read::<()>().take(), Some((marks, Contents::Topology(Ok(_)))) if marks == [MARK]));
    });
}

#[test]
fn without_a_file_there_is_nothing_to_read_and_no_hint_to_follow() {
    on_a_core(|reactor| {
        let process = Process { in_force: RefCell::new(None), ..Process::new(&text(1, "")) };
        let reloader = TopologyReloader::new(reactor, None, None, None);
        reloader.follow_hint(TopologyHint { node: None, epoch: 3 }, &process);
        assert_eq!((reloader.metrics().hints.value(), reloader.name(), reloader.is_clustered()), (0, "", false));
        assert!(matches!(reloader.read::<()>().take(), Some((_, Contents::NoTopology))));
        assert_eq!((reloader.marks_at_start(), reloader.look().take()), (Vec::new(), Some(Vec::new())));
    });
}
