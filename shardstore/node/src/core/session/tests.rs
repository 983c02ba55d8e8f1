//! The hit path of a connection, measured: whole buffers of GETs through the code that serves real ones.

mod batches;
mod blocked;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::settings::NodeSettings;
use allocation_counter::measure;
use control::reload::ConfigSource;
use reactor::sim::{NetworkOptions, World};
use reactor::{Address, CoreSpec, Host, ListenOptions, Reactor, mailboxes};
use shardstore::placement::Topology;
use shardstore::shard::{ClockReadings, NewValue};
use shardstore::wire::hello::{Hello, Role};
use shardstore::wire::terms::negotiate;
use shardstore::wire::{Op, Request, cluster_tag};

use super::*;
use crate::core::CoreSeat;
use crate::metrics::NodeMetrics;
use crate::plan::Shared;

const TOPOLOGY: &str = "cluster = \"test\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n";

/// Requests in one buffer: a usual window.
const WINDOW: u64 = 64;

fn settings() -> NodeSettings {
    let arguments = ["--node-id=1", "--topology=t", "--memory=16MiB"].map(Into::into).to_vec();
    let files = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
    ConfigSource::<NodeSettings>::new(arguments, Vec::new(), Box::new(files)).load_to_serve().unwrap().settings
}

fn core_on(reactor: &Reactor, mailbox: reactor::Mailbox<crate::message::NodeMessage>) -> Rc<NodeCore> {
    let topology = Arc::new(Topology::parse(TOPOLOGY).unwrap());
    let shared = Shared {
        connections_max: usize::MAX,
        settings: settings(),
        incarnation: 1,
        cores: 1,
        hash_seed: topology.hash_seed(),
        cluster: topology.cluster().into(),
        cluster_tag: cluster_tag(topology.cluster()),
        batch_answers: store_runtime::shared_budget::SharedBudget::new(1 << 20),
        settled: [std::sync::atomic::AtomicU32::new(topology.epoch())].into(),
    };
    let node_metrics = Arc::new(NodeMetrics::new(1));
    let shards = store_runtime::remote::unpublished(1);
    let (security, clock) = (Arc::default(), Arc::default());
    let seat = CoreSeat { shared: Arc::new(shared), topology, security, clock, node_metrics, mailbox, shards };
    NodeCore::new(reactor, seat).unwrap()
}

/// Stores a value and returns a buffer of GETs of it.
fn gets(core: &NodeCore, terms: &SessionTerms) -> Vec<u8> {
    let key = b"\0the key";
    let hash = core.hash(key).unwrap();
    let value = [7; 128];
    core.store.shard().set(hash, key, &NewValue::new(&value), ClockReadings::default());
    let mut bytes = Vec::new();
    for id in 0..WINDOW {
        Request::new(id, hash.slot(), 1, Op::Get { key }).encode(terms.dialect(), &mut bytes);
    }
    bytes
}

/// The session of an edge on a connection.
fn session<'a>(permit: &'a ConnectionPermit, connection: &'a Connection) -> PeerSession<'a> {
    let core = &permit.core;
    let edge = Hello { role: Role::Edge, node_id: 0, ..core.hello() };
    let terms = negotiate(&core.hello(), &edge).unwrap();
    let credit = PeerCredit::new(256, 4 << 20);
    let link = Rc::new(Link::new(connection.sender(), terms, credit, Rc::clone(&permit.attention)));
    let now = core.reactor.now();
    PeerSession {
        core,
        connection,
        handler: FrameHandler::new(core, &link, 4 << 20),
        link,
        reader: FrameReader::default(),
        in_part: core.frames_in_part.empty_lease(),
        received: None,
        arrived: now,
        last_frame: now,
        room_until: None,
        ends_at: Instant::NEVER,
        ended: false,
    }
}

async fn serve_rounds(core: Rc<NodeCore>, rounds: usize) {
    let reactor = core.reactor.clone();
    let address = Address::Tcp(([10, 0, 0, 1], 7401).into());
    let listener = reactor.listen(&address, &ListenOptions::default()).unwrap();
    let reading = reactor.clone();
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    let reader = async move {
        let client = reading.connect(&address, Instant::NEVER).await.unwrap();
        while let Ok(Some(data)) = client.receive().await {
            count.set(count.get() + data.len());
        }
    };
    reactor.spawn(reader).unwrap();
    let connection = listener.accept().await.unwrap();
    let permit = ConnectionPermit::take(&core).unwrap();
    let mut session = session(&permit, &connection);
    let bytes = gets(&core, &session.link.terms);
    let mut allocations = 0;
    for round in 0..rounds {
        // Cut in the middle of a frame, at another byte in each round: the rest is held until the next buffer.
        let cut = bytes.len() - round % 71;
        for part in [&bytes[..cut], &bytes[cut..]] {
            let data = Received::owned(part.to_vec());
            if data.is_empty() {
                continue;
            }
            let served = measure(|| {
                session.arrived = session.core.reactor.now();
                session.serve_buffer(&data).unwrap();
                drop(data);
            });
            // The first rounds bring the core's buffers to their size.
            allocations += if round < 10 { 0 } else { served.count_total };
        }
        reactor.sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(allocations, 0, "a hit allocates nothing");
    let answers = core.metrics().responses[0].value();
    assert_eq!(answers, rounds as u64 * WINDOW);
    reactor.sleep(Duration::from_millis(50)).await;
    assert_eq!(received.get() as u64, answers * (64 + 128), "head and value of each");
    drop(session);
    reactor.stop();
}

/// Runs on a core of its own until that ends its loop.
fn on_a_core(main: impl FnOnce(Rc<NodeCore>) + Send + 'static) {
    let mut world = World::new(1, NetworkOptions::default());
    let process = world.add_process("node");
    let mut host = world.host(process);
    let doorbells = host.doorbells(1).unwrap();
    let mailbox = mailboxes(&doorbells, 16).pop().unwrap();
    let spec = CoreSpec { id: mailbox.core(), cpu: None, name: "core".to_owned(), doorbells };
    let body = move |reactor: Reactor| main(core_on(&reactor, mailbox));
    host.start_core(spec, Box::new(body)).unwrap();
    drop(host);
    let deadline = world.now() + Duration::from_secs(60);
    assert!(world.run_until(deadline, |world| !world.is_running(process)), "{:?}", world.holdings(process));
}

#[test]
fn hits_allocate_nothing() {
    on_a_core(|core| {
        let reactor = core.reactor.clone();
        reactor.spawn(serve_rounds(core, 300)).unwrap();
    });
}

#[test]
fn frames_for_other_cores_are_within_the_memory_for_values_that_arrive() {
    on_a_core(|core| {
        let small = core.lease_frame(16 * 1024).unwrap();
        assert!(small.is_none() && core.assembling.leased_bytes() == 0);
        let large = core.lease_frame(crate::budgets::ASSEMBLING_BYTES_MAX).unwrap();
        assert!(large.is_some() && core.lease_frame(16 * 1024 + 1).is_err());
        drop(large);
        assert!(core.lease_frame(16 * 1024 + 1).unwrap().is_some());
        core.reactor.stop();
    });
}
