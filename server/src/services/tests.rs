//! The services of simulated cores, without connections: what requests are answered, and what is counted.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::metrics::Counter;
use corelane_gateway::normal::RequestScheme;
use corelane_http::Status;
use corelane_http::cache_status::{CacheStatus, HitSource};
use corelane_http::range::ContentRange;
use reactor::sim::{NetworkOptions, World};
use reactor::{CoreId, CoreSpec, Host, Mailbox, Reactor, mailboxes};
use shardstore::cache::Commit;
use shardstore::key::{KeyHasher, StoredKey};
use store_runtime::cores::owner_core;
use store_runtime::fills::FillBounds;
use store_runtime::mail::CoreMail;
use store_runtime::remote::{Published, unpublished};
use store_runtime::store::{ShardPlan, Store};
use store_runtime::tiers::{TierBounds, TierPlan, Tiers};

use super::challenge::ChallengeService;
use super::gateway::GatewayService;
use super::kv::KvService;
use super::kv::store::KvStore;
use super::{Exchange, Services, begin, carry};
use crate::exchange::Begun;
use crate::exchange::fakes::{FakeReply, FakeWire, with_head};
use crate::exchange::memory::ConnectionMemory;
use crate::message::Message;
use crate::metrics::{CoreMetrics, RouteKind};
use crate::nodes::Cluster;
use crate::snapshot::CurrentSnapshot;
use crate::snapshot::fixture::snapshot;

mod cores;
mod gateway;
mod requests;

const HASHER: KeyHasher = KeyHasher::new(1);

/// More than is copied, and more than is read of another core in place.
const LARGE: usize = 40 * 1024;

/// What a test is about.
#[derive(Clone, Copy)]
struct Setting {
    cores: u16,
    config: &'static str,
    /// Memory for bodies, in either direction.
    body_bytes: usize,
    is_authority: bool,
    /// Requests that may wait for other cores.
    hops_max: usize,
}

impl Setting {
    fn memory(&self) -> ConnectionMemory {
        let mut limits = snapshot(1, self.config).settings.limits.clone();
        limits.body_memory_bytes = self.body_bytes;
        ConnectionMemory::new(&limits)
    }
}

const ONE_CORE: Setting = Setting { cores: 1, config: "", body_bytes: 1 << 20, is_authority: true, hops_max: 99 };

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In the poll.
    Poll,
    /// In the poll, with bytes that are sent in place.
    Lent,
    /// Later, and counted under this.
    Later(RouteKind),
}

struct Rig {
    reactor: Reactor,
    mail: Rc<CoreMail<Message>>,
    services: Services,
    metrics: Arc<CoreMetrics>,
    memory: ConnectionMemory,
}

impl Rig {
    fn start(reactor: &Reactor, mailbox: Mailbox<Message>, published: Published, setting: Setting) -> Rc<Self> {
        let shard =
            ShardPlan { limit_bytes: 64 << 20, commit: Commit::default(), hasher: HASHER, region: 0, published };
        let store = Rc::new(Store::start(reactor, shard).unwrap());
        let mail = CoreMail::start(reactor, mailbox).unwrap();
        let fills = FillBounds { fills_max: 9, waiters_max: 9, edge_ttl: Duration::from_secs(1) };
        let plan = TierPlan {
            store: Rc::clone(&store),
            mail: Rc::clone(&mail),
            behind: None,
            bounds: TierBounds { fills, retry_time: Duration::from_millis(500), fetch_bytes_max: 1 << 20 },
            hops_max: setting.hops_max,
            note: Box::new(|_| {}),
        };
        let tiers: Rc<Tiers<Cluster, Message>> = Tiers::new(reactor, plan);
        let (taking, stopping) = (Rc::clone(&tiers), reactor.clone());
        let take = move |from, message| match message {
            Message::Store(message) => {
                taking.take(from, message);
                ControlFlow::Continue(())
            }
            _ => {
                stopping.stop();
                ControlFlow::Break(())
            }
        };
        let receiving = Rc::clone(&mail);
        reactor.spawn(async move { receiving.receive(take).await }).unwrap();
        let kv = KvStore {
            reactor: reactor.clone(),
            snapshot: Rc::new(CurrentSnapshot::new(&snapshot(1, setting.config))),
            hasher: HASHER,
            store,
            tiers,
            is_authority: setting.is_authority,
        };
        let (metrics, memory) = (Arc::new(CoreMetrics::default()), setting.memory());
        let challenge = ChallengeService::new(&kv.snapshot);
        let gateway = GatewayService::new(&kv.snapshot);
        let services = Services { kv: KvService::new(kv, &memory, &metrics), challenge, gateway };
        Rc::new(Rig { reactor: reactor.clone(), mail, services, metrics, memory })
    }

    /// Has a request served whose body comes in these pieces. `text`: its lines without `Host` and the empty one.
    async fn ask_wire(&self, text: &str, pieces: &[&[u8]]) -> (Way, FakeWire) {
        let text = text.replacen("\r\n", " HTTP/1.1\r\nHost: h\r\n", 1);
        let head = with_head(&format!("{text}\r\n"), |head| head.into_owned());
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        let mut wire = FakeWire { pieces, ..FakeWire::default() };
        let way = match begin(&self.services, &head.head(), || RequestScheme::Http, &mut wire.reply) {
            Begun::Done => Way::Poll,
            Begun::Lent => Way::Lent,
            Begun::Later(plan) => {
                assert_eq!(wire.reply, FakeReply::default(), "nothing is written yet");
                let exchange = Exchange::new(&head.head(), plan);
                let route = exchange.route();
                Box::pin(carry(&self.services, exchange, &mut wire)).await;
                Way::Later(route)
            }
        };
        (way, wire)
    }

    async fn ask(&self, text: &str, pieces: &[&[u8]]) -> (Way, FakeReply) {
        let (way, wire) = self.ask_wire(text, pieces).await;
        (way, wire.reply)
    }

    /// Puts a value and returns its tag.
    async fn put(&self, path: &str, fields: &str, value: &[u8]) -> String {
        let (way, reply) = self.ask(&put_head(path, fields, value), &[value]).await;
        assert!(matches!(reply.status, Some(Status::Created | Status::NoContent)), "{reply:?}");
        assert_eq!(way, Way::Later(RouteKind::Write));
        String::from_utf8(reply.etag.expect("a write has a version")).unwrap()
    }

    async fn status(&self, text: &str, pieces: &[&[u8]]) -> (u16, Option<String>) {
        let (_, reply) = self.ask(text, pieces).await;
        (reply.status.expect("everything is answered").code(), reply.problem)
    }

    /// Reads so far: of this core, of others, of nodes, and absent.
    fn reads(&self) -> [u64; 4] {
        let CoreMetrics { reads_own_core, reads_other_core, reads_node, reads_absent, .. } = &*self.metrics;
        [reads_own_core, reads_other_core, reads_node, reads_absent].map(Counter::value)
    }
}

fn put_head(path: &str, fields: &str, value: &[u8]) -> String {
    format!("PUT /v1/kv/{path}\r\nContent-Length: {}\r\n{fields}", value.len())
}

/// The path of a key of the default keyspace that this core of `cores` owns.
fn path_on(core: u16, cores: u16, number: usize) -> String {
    let is_there = |key: &String| {
        let mut stored = Vec::new();
        StoredKey::encode(b"default", key.as_bytes(), &mut stored).unwrap();
        owner_core(HASHER.hash(&stored), cores) == CoreId(core)
    };
    let mut keys = (0..1_000).map(|key| format!("key-{key}")).filter(is_there);
    format!("default/{}", keys.nth(number).expect("every core owns some"))
}

/// Runs a test on core 0; the other cores only serve their shards.
fn on_cores<F: Future<Output = ()> + 'static>(setting: Setting, test: impl Fn(Rc<Rig>) -> F + Clone + Send + 'static) {
    let cores = usize::from(setting.cores);
    let mut world = World::new(1, NetworkOptions::default());
    let process = world.add_process("services");
    let mut host = world.host(process);
    let (doorbells, published) = (host.doorbells(cores).unwrap(), unpublished(setting.cores));
    for mailbox in mailboxes::<Message>(&doorbells, 16) {
        let id = mailbox.core();
        let spec = CoreSpec { id, cpu: None, name: format!("core-{}", id.0), doorbells: doorbells.clone() };
        let (test, published) = (test.clone(), Published::clone(&published));
        let body = move |reactor: Reactor| {
            let others: Vec<CoreId> = (1..setting.cores).map(CoreId).collect();
            let rig = Rig::start(&reactor, mailbox, published, setting);
            if id != CoreId(0) {
                return;
            }
            let running = Rc::clone(&rig);
            let task = async move {
                // The other cores have to start first.
                running.reactor.sleep(Duration::from_millis(1)).await;
                test(Rc::clone(&running)).await;
                for other in others {
                    running.mail.deliver(other, Message::Stop);
                }
                running.reactor.stop();
            };
            rig.reactor.spawn(task).unwrap();
        };
        host.start_core(spec, Box::new(body)).unwrap();
    }
    drop(host);
    let deadline = world.now() + Duration::from_secs(60);
    assert!(world.run_until(deadline, |world| !world.is_running(process)), "the test is over");
}
