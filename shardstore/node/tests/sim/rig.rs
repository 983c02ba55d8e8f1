//! A simulated node with two data cores, and peers that follow a script.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use control::reload::ConfigSource;
use control::topology_file::TopologySource;
use control::watch::Mark;
use reactor::sim::{NetworkOptions, ProcessId, World};
use reactor::{Address, CoreId, CoreSpec, Host, Reactor};
use shardstore::placement::Topology;
use shardstored::settings::NodeSettings;
use shardstored::{NodePlan, Started, start};

/// Where the node listens, and where the topology says it does.
pub(crate) const NODE: &str = "10.0.0.1:7401";

/// One node owns everything.
pub(crate) const ALONE: &str = "cluster = \"test\"\nepoch = 5\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n";

/// The file that the node reads its topology from.
#[derive(Clone)]
#[expect(clippy::disallowed_types, reason = "the scenario and the node's closures share it; a test waits for nobody")]
pub(crate) struct File(Arc<(std::sync::Mutex<String>, AtomicU64)>);

#[expect(clippy::disallowed_types, reason = "as above")]
impl File {
    fn new(text: &str) -> Self {
        File(Arc::new((std::sync::Mutex::new(text.to_owned()), AtomicU64::new(1))))
    }

    pub(crate) fn write(&self, text: &str) {
        *self.0.0.lock().unwrap() = text.to_owned();
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }

    fn mark(&self) -> Mark {
        Mark { modified_ns: i128::from(self.0.1.load(Ordering::Relaxed)), length_bytes: 0, inode: 1 }
    }
}

/// A script of one peer process.
pub(crate) type Script = fn(Reactor) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! script {
    (|$reactor:ident| $code:expr) => {
        |$reactor: reactor::Reactor| Box::pin(async move { $code })
    };
}
pub(crate) use script;

pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) node: ProcessId,
    pub(crate) started: Started,
    pub(crate) file: File,
    pub(crate) log: Log,
    seed: u64,
    incarnations: u64,
    flags: Vec<&'static str>,
}

/// What the node has logged.
#[derive(Clone)]
#[expect(clippy::disallowed_types, reason = "as above")]
pub(crate) struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rig {
    pub(crate) fn new(seed: u64, flags: &[&'static str]) -> Self {
        Self::with(seed, ALONE, NetworkOptions::default(), flags)
    }

    #[expect(clippy::disallowed_types, reason = "as above")]
    pub(crate) fn with(seed: u64, topology: &str, network: NetworkOptions, flags: &[&'static str]) -> Self {
        let mut world = World::new(seed, network);
        let node = world.add_process("node");
        let file = File::new(topology);
        let log = Log(Arc::new(std::sync::Mutex::new(Vec::new())));
        let plan = plan(&file, &log, flags, 1);
        let started = start(&mut world.host(node), plan).unwrap();
        Rig { world, node, started, file, log, seed, incarnations: 1, flags: flags.to_vec() }
    }

    /// Starts the node anew, in a process of its own; the old one must be gone.
    pub(crate) fn restart(&mut self) {
        self.incarnations += 1;
        self.node = self.world.add_process("node again");
        let plan = plan(&self.file, &self.log, &self.flags, self.incarnations);
        self.started = start(&mut self.world.host(self.node), plan).unwrap();
    }

    /// Starts a peer.
    pub(crate) fn peer(&mut self, script: Script) -> ProcessId {
        let process = self.world.add_process("peer");
        let mut host = self.world.host(process);
        let doorbells = host.doorbells(1).unwrap();
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "peer".to_owned(), doorbells };
        let body = move |reactor: Reactor| {
            let running = reactor.clone();
            let main = async move {
                script(running.clone()).await;
                running.stop();
            };
            reactor.spawn(main).unwrap();
        };
        host.start_core(spec, Box::new(body)).unwrap();
        process
    }

    /// Runs until the peer's script is over.
    pub(crate) fn finish(&mut self, peer: ProcessId) {
        self.finish_within(peer, Duration::from_secs(120));
    }

    pub(crate) fn finish_within(&mut self, peer: ProcessId, limit: Duration) {
        let deadline = self.world.now() + limit;
        let ended = self.world.run_until(deadline, |world| !world.is_running(peer));
        assert!(ended, "seed {}: the script hangs; {}", self.seed, self.log.text());
    }

    /// Runs one peer, then checks that the node keeps nothing of it.
    pub(crate) fn run(&mut self, script: Script) {
        let peer = self.peer(script);
        self.finish(peer);
        self.assert_at_rest();
    }

    /// After a while, the node must hold no connection, and no task but its own few.
    pub(crate) fn assert_at_rest(&mut self) {
        self.world.run_for(Duration::from_secs(8));
        for (core, holdings) in self.world.holdings(self.node).into_iter().enumerate() {
            assert_eq!(holdings.connections, 0, "seed {}, core {core}: {holdings:?}", self.seed);
            assert!(holdings.tasks <= TASKS_OF_A_CORE, "seed {}, core {core}: tasks leak: {holdings:?}", self.seed);
        }
    }
}

/// Accepting, messages, messages that found no room, background work.
const TASKS_OF_A_CORE: usize = 4;

fn plan(file: &File, log: &Log, flags: &[&'static str], incarnation: u64) -> NodePlan {
    let config = config(flags);
    let (read, mark) = (file.clone(), file.clone());
    NodePlan {
        loaded: config.load_to_serve().unwrap(),
        config,
        topology: Topology::parse(&file.read()).unwrap(),
        source: TopologySource::in_place("topology.toml", move || Ok(read.read()), move || Some(mark.mark())),
        incarnation,
        descriptors: None,
        cpus: vec![None, None],
        process: control::context::ProcessContext::default(),
        log: Box::new(log.clone()),
        usage: None,
        host_memory: None,
        security: control::security::SecurityAtStart::none(),
    }
}

fn config(flags: &[&'static str]) -> ConfigSource<NodeSettings> {
    let common = [
        "--node-id=1",
        "--listen=10.0.0.1:7401",
        "--admin=10.0.0.1:9280",
        "--topology=topology.toml",
        "--plaintext=allow",
    ];
    let (keys, flags): (Vec<&str>, Vec<&str>) = flags.iter().partition(|flag| flag.contains(" = "));
    let file = format!("[limits]\n{}\n", keys.join("\n"));
    let has_memory = flags.iter().any(|flag| flag.starts_with("--memory"));
    let memory = (!has_memory).then_some("--memory=64MiB");
    let arguments = common.into_iter().chain(flags).chain(memory).chain(["--config=/node.toml"]);
    let arguments = arguments.map(Into::into).collect();
    ConfigSource::new(arguments, Vec::new(), Box::new(move |_: &Path| Ok(file.clone())))
}

pub(crate) fn node_address() -> Address {
    Address::Tcp(NODE.parse().unwrap())
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251) as u8).collect()
}
