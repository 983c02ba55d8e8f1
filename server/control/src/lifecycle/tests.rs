//! The loop in virtual time: what happens to a process, and what it is told, with the second of each.

mod signs;

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel, sync_channel},
    },
};

use reactor::{
    CoreId, CoreSpec, Host,
    sim::{NetworkOptions, World},
};

use super::*;

/// What the test decides about the process.
#[derive(Default)]
struct Knobs {
    start: AtomicUsize,
    in_flight: AtomicUsize,
    /// The inode of the configuration's file; 0 when there is none.
    config: AtomicUsize,
    /// The inode of the topology's file.
    topology: AtomicUsize,
    /// The inode of the files of security.
    security: AtomicUsize,
    /// Whether somebody writes the topology's file: it looks different at every look.
    writing: AtomicBool,
    looks: AtomicUsize,
    /// Whether nothing comes of looking and reading.
    hangs: AtomicBool,
    /// Whether a data core does not pass.
    core_hangs: AtomicBool,
    lame_duck: Duration,
    /// The time of the watchdog, where a service manager is told.
    watchdog: Option<Duration>,
}

struct Fake {
    reactor: Reactor,
    knobs: Arc<Knobs>,
    told: Sender<(u64, String)>,
    wishes: Rc<TopologyWishes>,
    duck: LameDuck,
    manager: ServiceManager,
}

impl Fake {
    fn new(reactor: &Reactor, knobs: Arc<Knobs>, told: Sender<(u64, String)>) -> Self {
        let (telling, to, now) = (reactor.clone(), told.clone(), reactor.now());
        let send = move |message: &[u8]| {
            let text = String::from_utf8_lossy(message).replace('\n', " ");
            to.send((tenth(&telling), text)).map_err(io::Error::other)
        };
        let manager = match knobs.watchdog {
            None => ServiceManager::connect(None, now).unwrap(),
            watchdog => ServiceManager::new(Some(Box::new(send)), watchdog, now),
        };
        let wishes = Rc::new(TopologyWishes::new(reactor));
        Fake { reactor: reactor.clone(), knobs, told, wishes, duck: LameDuck::default(), manager }
    }

    fn tell(&self, what: String) {
        self.told.send((tenth(&self.reactor), what)).unwrap();
    }
}

/// Tenths of seconds since the start.
fn tenth(reactor: &Reactor) -> u64 {
    (reactor.now().as_nanos() - 1_000_000_000) / 100_000_000
}

impl Fake {
    fn marks(&self, watched: Watched) -> Vec<Mark> {
        let inode = match watched {
            Watched::Config => &self.knobs.config,
            Watched::Topology => &self.knobs.topology,
            Watched::Security => &self.knobs.security,
        };
        let inode = inode.load(Ordering::Relaxed) as u64;
        if watched == Watched::Topology && self.knobs.writing.load(Ordering::Relaxed) {
            self.knobs.looks.fetch_add(1, Ordering::Relaxed);
        }
        let length_bytes = self.knobs.looks.load(Ordering::Relaxed) as u64;
        if inode == 0 { Vec::new() } else { vec![Mark { modified_ns: 0, length_bytes, inode }] }
    }

    /// What was found: now, or when the files do not hang any more.
    fn found<T: 'static>(&self, watched: Watched, found: T) -> PendingFiles<T> {
        // Where no file is named, nothing can hang.
        let is_nameless = watched == Watched::Security && self.knobs.security.load(Ordering::Relaxed) == 0;
        if is_nameless || !self.knobs.hangs.load(Ordering::Relaxed) {
            return PendingFiles::ready(found);
        }
        let (answer, pending) = sync_channel(1);
        let (reactor, knobs) = (self.reactor.clone(), Arc::clone(&self.knobs));
        let answering = async move {
            while knobs.hangs.load(Ordering::Relaxed) {
                reactor.sleep(Duration::from_millis(10)).await;
            }
            // In an order that the test can know.
            reactor.sleep(Duration::from_millis(if watched == Watched::Config { 1 } else { 50 })).await;
            let _ = answer.send(found);
        };
        self.reactor.spawn(answering).unwrap();
        PendingFiles::from_receiver(pending)
    }
}

impl ControlledProcess for Fake {
    type Config = ();

    fn start(&self) -> Start {
        [Start::UnderWay, Start::Done, Start::Refused][self.knobs.start.load(Ordering::Relaxed)]
    }

    fn in_flight(&self) -> usize {
        self.knobs.in_flight.load(Ordering::Relaxed)
    }

    fn end_times(&self) -> EndTimes {
        EndTimes { lame_duck: self.knobs.lame_duck, drain: Duration::from_secs(5) }
    }

    fn lame_duck(&self) -> &LameDuck {
        &self.duck
    }

    fn close_connections(&self, closes: bool) {
        self.tell(format!("closes {closes}"));
    }

    fn manager(&self) -> &ServiceManager {
        &self.manager
    }

    fn summary(&self) -> String {
        "busy".to_owned()
    }

    fn cores_run(&self) -> bool {
        !self.knobs.core_hangs.load(Ordering::Relaxed)
    }

    fn look(&self, watched: Watched) -> PendingFiles<Vec<Mark>> {
        self.found(watched, self.marks(watched))
    }

    fn read(&self, watched: Watched) -> PendingRead<()> {
        let contents = match watched {
            Watched::Config => Contents::Config(()),
            Watched::Topology => Contents::Topology(Ok(String::new())),
            Watched::Security => Contents::Security(crate::security::SecurityFiles::default()),
        };
        self.found(watched, (self.marks(watched), contents))
    }

    fn adopt(&self, contents: Contents<()>, cause: ReloadCause) {
        let watched = match contents {
            Contents::Config(()) => Watched::Config,
            Contents::Topology(_) | Contents::NoTopology => Watched::Topology,
            // A process without such files has nothing to do.
            Contents::Security(_) if self.knobs.security.load(Ordering::Relaxed) == 0 => return,
            Contents::Security(_) => Watched::Security,
        };
        self.tell(format!("{watched:?} {cause}"));
    }

    fn files_name(&self, watched: Watched) -> String {
        format!("{watched:?}")
    }

    fn log_event(&self, _: LogLevel, event: &str, fields: LogFields<'_>) {
        let seconds = fields.iter().find(|(name, _)| *name == "seconds");
        self.tell(event.to_owned() + &seconds.map(|(_, value)| format!(" {value}")).unwrap_or_default());
    }

    fn wishes(&self) -> &TopologyWishes {
        &self.wishes
    }

    fn on_state_change(&self, state: LifecycleState) {
        self.tell(match state {
            LifecycleState::LameDuck { .. } => "LameDuck".into(),
            LifecycleState::Draining { .. } => "Draining".into(),
            other => format!("{other:?}"),
        });
    }
}

/// What the test does, at a tenth of a second.
#[derive(Clone, Copy, Debug)]
enum Do {
    Start(usize),
    Flight(usize),
    File(usize),
    Config(usize),
    Certificates(usize),
    Write(bool),
    Hang(bool),
    HangCore(bool),
    /// `POST /v1/drain`, or `POST /v1/undrain`.
    Leave(bool),
    Wish,
    Send(Signal),
}
use Do::{Certificates, Config, File, Flight, Hang, HangCore, Leave, Send, Start as Begin, Wish, Write};

/// Runs a life: tenths of seconds with what is done, and until when to run. What was told, by tenth.
fn run(seed: u64, acts: &[(u64, Do)]) -> Vec<(u64, String)> {
    run_with(seed, Knobs::default(), acts)
}

fn run_with(seed: u64, knobs: Knobs, acts: &[(u64, Do)]) -> Vec<(u64, String)> {
    let mut world = World::new(seed, NetworkOptions::default());
    let process = world.add_process("process");
    let knobs = Arc::new(Knobs { topology: 1.into(), ..knobs });
    let (told, tellings): (Sender<(u64, String)>, Receiver<_>) = channel();
    let theirs = Arc::clone(&knobs);
    let inner: Vec<(u64, Do)> = acts.iter().filter(|(_, act)| matches!(act, Wish | Leave(_))).copied().collect();
    {
        let mut host = world.host(process);
        let doorbells = host.doorbells(1).unwrap();
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "control".into(), doorbells };
        let body = move |reactor: Reactor| {
            let fake = Rc::new(Fake::new(&reactor, theirs, told));
            let acting = Rc::clone(&fake);
            let options = Options {
                topology_marks: fake.marks(Watched::Topology),
                config_marks: Vec::new(),
                security_marks: fake.marks(Watched::Security),
            };
            let task = async move {
                let exit = super::run(&fake.reactor, &*fake, options).await.unwrap();
                fake.tell(format!("exit {}", exit.status()));
            };
            reactor.spawn(task).unwrap();
            for (tenth, act) in inner {
                let fake = Rc::clone(&acting);
                let acting = async move {
                    fake.reactor.sleep(Duration::from_millis(tenth * 100)).await;
                    let now = fake.reactor.now();
                    match act {
                        Leave(true) => assert!(fake.duck.begin(LameDuckCause::Request, now, 0)),
                        Leave(false) => assert!(fake.duck.end(now).unwrap().is_some()),
                        _ => fake.wishes.wish(),
                    }
                };
                reactor.spawn(acting).unwrap();
            }
        };
        host.start_core(spec, Box::new(body)).unwrap();
    }
    for (tenth, act) in acts {
        world.run_until(Instant::from_nanos(1_000_000_000 + tenth * 100_000_000), |_| false);
        match *act {
            Begin(start) => knobs.start.store(start, Ordering::Relaxed),
            Flight(count) => knobs.in_flight.store(count, Ordering::Relaxed),
            File(inode) => knobs.topology.store(inode, Ordering::Relaxed),
            Config(inode) => knobs.config.store(inode, Ordering::Relaxed),
            Certificates(inode) => knobs.security.store(inode, Ordering::Relaxed),
            Write(writes) => knobs.writing.store(writes, Ordering::Relaxed),
            Hang(hangs) => knobs.hangs.store(hangs, Ordering::Relaxed),
            HangCore(hangs) => knobs.core_hangs.store(hangs, Ordering::Relaxed),
            Wish | Leave(_) => {}
            Send(signal) => world.signal(process, signal),
        }
    }
    world.run_for(Duration::from_secs(20));
    let held = world.holdings(process)[0];
    let has_exited = acts.iter().any(|(_, act)| matches!(act, Send(Signal::Terminate) | Begin(2)));
    assert_eq!((held.tasks, held.timers), if has_exited { (0, 0) } else { (1, 1) }, "seed {seed}: {acts:?}");
    tellings.try_iter().collect()
}

/// What is done, and what is told by when.
type Case = (&'static [(u64, Do)], &'static [(u64, &'static str)]);

const CASES: &[Case] = &[
    // Starting.
    (&[(5, Begin(1))], &[(5, "Serving")]),
    (&[(5, Begin(2))], &[(5, "Stopped(Refused)"), (5, "exit 2")]),
    (&[(5, Send(Signal::Terminate))], &[(5, "Stopped(Clean)"), (5, "exit 0")]),
    (&[(3, Send(Signal::Reload)), (5, Begin(1))], &[(5, "Serving")]),
    // Draining.
    (
        &[(0, Begin(1)), (20, Send(Signal::Terminate))],
        &[(0, "Serving"), (20, "Draining"), (20, "Stopped(Clean)"), (20, "exit 0")],
    ),
    (
        &[(0, Begin(1)), (1, Flight(3)), (20, Send(Signal::Terminate)), (45, Flight(0))],
        &[(0, "Serving"), (20, "Draining"), (45, "Stopped(Clean)"), (45, "exit 0")],
    ),
    (
        &[(0, Begin(1)), (1, Flight(3)), (20, Send(Signal::Terminate))],
        &[(0, "Serving"), (20, "Draining"), (70, "Stopped(Cut)"), (70, "exit 3")],
    ),
    (
        &[(0, Begin(1)), (1, Flight(3)), (20, Send(Signal::Terminate)), (30, Send(Signal::Terminate))],
        &[(0, "Serving"), (20, "Draining"), (30, "Stopped(Cut)"), (30, "exit 3")],
    ),
    (
        &[(0, Begin(1)), (1, Flight(3)), (20, Send(Signal::Terminate)), (30, Send(Signal::Reload)), (31, Flight(0))],
        &[(0, "Serving"), (20, "Draining"), (31, "Stopped(Clean)"), (31, "exit 0")],
    ),
    // Reloading. The ticks are at whole seconds; a file that was changed is read at the second one that sees it.
    (&[(0, Begin(1)), (25, Send(Signal::Reload))], &[(0, "Serving"), (25, "Config signal"), (25, "Topology signal")]),
    (&[(0, Begin(1)), (25, File(2))], &[(0, "Serving"), (40, "Topology change")]),
    (&[(0, Begin(1)), (25, Config(2))], &[(0, "Serving"), (40, "Config change")]),
    (
        &[(0, Begin(1)), (25, File(2)), (25, Config(2)), (45, Config(0))],
        &[(0, "Serving"), (40, "Config change"), (40, "Topology change"), (50, "config_files_gone")],
    ),
    (
        &[(0, Begin(1)), (25, File(2)), (27, Send(Signal::Reload))],
        &[(0, "Serving"), (27, "Config signal"), (27, "Topology signal")],
    ),
    (
        &[(0, Begin(1)), (25, File(0)), (45, File(1)), (65, File(0)), (75, File(3))],
        &[(0, "Serving"), (30, "topology_file_gone"), (70, "topology_file_gone"), (90, "Topology change")],
    ),
    // Certificates are read as settings are, and behind them.
    (
        &[(0, Begin(1)), (15, Certificates(2)), (45, Send(Signal::Reload)), (55, Certificates(0))],
        &[
            (0, "Serving"),
            (30, "Security change"),
            (45, "Config signal"),
            (45, "Topology signal"),
            (45, "Security signal"),
            (60, "security_files_gone"),
        ],
    ),
    // A peer's wish is followed at once.
    (&[(0, Begin(1)), (25, Wish)], &[(0, "Serving"), (25, "Topology peer")]),
    // Files that hang: reported once and at every signal, stop neither the drain nor the end, and are read when they answer.
    (
        &[(0, Begin(1)), (15, Hang(true)), (85, Send(Signal::Reload)), (105, Hang(false))],
        &[
            (0, "Serving"),
            (70, "config_files_hang 5"),
            (70, "topology_file_hangs 5"),
            (85, "config_files_hang 6"),
            (85, "topology_file_hangs 6"),
            (110, "config_files_answer"),
            (110, "Config signal"),
            (110, "topology_file_answers"),
            (110, "Topology signal"),
        ],
    ),
    (
        &[
            (0, Begin(1)),
            (15, Hang(true)),
            (16, Send(Signal::Reload)),
            (85, File(2)),
            (86, Config(2)),
            (95, Hang(false)),
        ],
        &[
            (0, "Serving"),
            // The topology waits for the settings, as long as they may take.
            (66, "config_files_hang 5"),
            // Changed meanwhile, too: read again, not as it was when it was asked for.
            (95, "config_files_answer"),
            (95, "Config signal"),
            // It was changed while it was read, and is read once more.
            (95, "Topology signal"),
        ],
    ),
    // A topology that is being written is not taken before it keeps still, or before looks say so.
    (&[(0, Begin(1)), (24, Write(true)), (25, Wish), (30, Write(false))], &[(0, "Serving"), (30, "Topology peer")]),
    (
        &[(0, Begin(1)), (24, Write(true)), (25, Send(Signal::Reload)), (95, Write(false))],
        &[(0, "Serving"), (25, "Config signal"), (75, "topology_file_changes"), (100, "Topology change")],
    ),
    (
        &[
            (0, Begin(1)),
            (15, Hang(true)),
            (16, Send(Signal::Reload)),
            (30, Send(Signal::Terminate)),
            (31, Hang(false)),
        ],
        &[(0, "Serving"), (30, "Draining"), (30, "Stopped(Clean)"), (30, "exit 0")],
    ),
];

#[test]
fn lives_take_their_course() {
    for (acts, expected) in CASES {
        for seed in 0..20 {
            let told = run(seed, acts);
            let what: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
            let wanted: Vec<&str> = expected.iter().map(|(_, what)| *what).collect();
            assert_eq!(what, wanted, "seed {seed}: {acts:?}");
            for ((at, what), (wanted_at, _)) in told.iter().zip(*expected) {
                // A look or the delay of a signal later at most.
                assert!(*at == *wanted_at || *at == wanted_at + 1, "seed {seed}: {what} at {at}, not {wanted_at}");
            }
        }
    }
}
