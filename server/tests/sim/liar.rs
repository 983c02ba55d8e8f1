//! A process in the place of a node that lies about the map: it claims epochs that no file has, names other owners, and says
//! nonsense.
//!
//! **Not** a node: it keeps nothing and acknowledges nothing, so that whatever it says, nothing that was acknowledged is lost by it.
//!
//! **Invariants**: what it says is drawn from the seed.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reactor::sim::{ProcessId, World};
use reactor::{Address, Connection, ConnectionSender, CoreId, CoreSpec, Host, ListenOptions, Reactor};
use shardstore::key::{HASH_ID_RAPIDHASH_V3, SLOT_COUNT, STORED_KEY_BYTES_MAX, SlotId};
use shardstore::placement::Topology;
use shardstore::session::{FrameReader, Handshake, SpareBuffers};
use shardstore::wire::ext::Moved;
use shardstore::wire::hello::{self, Hello, HelloExtension, Role};
use shardstore::wire::map_digest::MapDigest;
use shardstore::wire::request::Dialect;
use shardstore::wire::terms::SessionTerms;
use shardstore::wire::{Flags, Frame, FrameError, Op, Request, Response, Status};

/// Longest time that it takes for an answer: some come long after their request.
const PAUSE_US_MAX: u64 = 400_000;

/// Starts one in the place of the node with this id, which must not run. It knows the cluster's file.
pub(crate) fn start(world: &mut World, process: ProcessId, (id, topology): (u32, Topology)) {
    let mut host = world.host(process);
    let doorbells = host.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "liar".to_owned(), doorbells };
    let body = move |reactor: Reactor| {
        let liar = Rc::new(Liar { reactor: reactor.clone(), id, topology });
        reactor.spawn(async move { liar.accept().await }).unwrap();
    };
    host.start_core(spec, Box::new(body)).unwrap();
}

struct Liar {
    reactor: Reactor,
    id: u32,
    topology: Topology,
}

/// What it draws when a request comes.
#[derive(Clone, Copy)]
enum Lie {
    /// Nothing is there; and it has a newer map.
    Hint,
    Moved,
    Stale,
    Unavailable,
    Silence,
    /// The answer to a request that nobody has sent.
    Unasked,
    Noise,
}

const LIES: [Lie; 7] = [Lie::Hint, Lie::Moved, Lie::Stale, Lie::Unavailable, Lie::Silence, Lie::Unasked, Lie::Noise];

impl Liar {
    fn below(&self, bound: u64) -> u64 {
        self.reactor.random() % bound
    }

    async fn accept(self: Rc<Self>) {
        let address = Address::Tcp(self.topology.nodes()[self.id as usize - 1].address.on_the_wire());
        let listener = self.reactor.listen(&address, &ListenOptions::default()).unwrap();
        while let Ok(connection) = listener.accept().await {
            let serving = Rc::clone(&self);
            self.reactor.spawn(async move { serving.serve(connection).await }).unwrap();
        }
    }

    /// An epoch that the file has, or does not.
    fn epoch(&self) -> u32 {
        match self.below(4) {
            0 => u32::MAX,
            1 => self.topology.epoch() + 1,
            _ => self.topology.epoch(),
        }
    }

    fn hello(&self) -> Hello {
        let map = match self.below(3) {
            0 => Some(Arc::clone(self.topology.digest())),
            1 => Some(Arc::new(MapDigest::of(|_| 7))),
            _ => None,
        };
        Hello {
            version_min: shardstore::wire::VERSION_MIN,
            version_max: shardstore::wire::VERSION_MAX,
            role: Role::Node,
            hash_id: HASH_ID_RAPIDHASH_V3,
            hash_seed: self.topology.hash_seed(),
            cores: 1 + self.below(4) as u16,
            wanted_core: hello::WANTED_CORE_ANY,
            features: hello::FEATURE_READ,
            node_id: self.id,
            topology_epoch: self.epoch(),
            incarnation: self.reactor.random(),
            frame_value_bytes_max: hello::FRAME_VALUE_BYTES_DEFAULT,
            value_bytes_max: shardstore::wire::VALUE_BYTES_MAX,
            credit_requests: hello::CREDIT_REQUESTS_DEFAULT,
            credit_bytes: hello::CREDIT_BYTES_DEFAULT,
            batch_entries_max: shardstore::wire::batch::BATCH_ENTRIES_MAX,
            key_bytes_max: STORED_KEY_BYTES_MAX as u16,
            cluster: self.topology.cluster().to_owned(),
            extension: map.map(|map| HelloExtension {
                clock_us: self.reactor.random() >> 8,
                map,
                owners: None,
                wanted_node: 0,
            }),
        }
    }

    async fn serve(self: Rc<Self>, connection: Connection) {
        let mut spares = SpareBuffers::default();
        let mut handshake = Handshake::begin(self.hello(), &mut connection.write());
        let terms = loop {
            let Ok(Some(data)) = connection.receive().await else { return };
            match handshake.receive(&data, &mut spares) {
                Ok(Some(terms)) => break terms,
                Ok(None) => {}
                Err(_) => return,
            }
        };
        let mut reader = handshake.into_reader();
        while let Ok(Some(data)) = connection.receive().await {
            if self.answer_all((&mut reader, &data), &terms, &connection.sender(), &mut spares).is_err() {
                return;
            }
        }
    }

    fn answer_all(
        self: &Rc<Self>,
        (reader, data): (&mut FrameReader, &[u8]),
        terms: &SessionTerms,
        sender: &ConnectionSender,
        spares: &mut SpareBuffers,
    ) -> Result<(), FrameError> {
        let take = |frame: &Frame<'_>, _: &[u8]| {
            // Chunks of values and later HELLOs are nothing to it.
            if let Ok(request) = Request::parse(frame) {
                let is_read = matches!(request.op, Op::Get { .. } | Op::Read { .. });
                self.answer((request.id, is_read), terms.dialect(), sender.clone());
            }
            Ok::<_, FrameError>(ControlFlow::Continue(()))
        };
        reader.read(data, &terms.limits, spares, take)
    }

    fn answer(self: &Rc<Self>, (id, is_read): (u64, bool), dialect: Dialect, sender: ConnectionSender) {
        let liar = Rc::clone(self);
        let task = async move {
            if liar.below(4) == 0 {
                liar.reactor.sleep(Duration::from_micros(liar.below(PAUSE_US_MAX))).await;
            }
            let lie = LIES[liar.below(LIES.len() as u64) as usize];
            let response = |status| Response { slot_epoch: liar.epoch(), ..Response::new(id, status) };
            let said = match lie {
                // Of a write it says at most that it was not done.
                Lie::Hint => {
                    let status = if is_read { Status::NotFound } else { Status::Unavailable };
                    Response { flags: Flags::MAP_HINT, ..response(status) }
                }
                Lie::Moved => Response { moved: Some(liar.moved()), ..response(Status::Moved) },
                Lie::Stale => response(Status::Stale),
                Lie::Unavailable => Response { retry_after_us: Some(1), ..response(Status::Unavailable) },
                Lie::Unasked => Response { id: id + 1_000, ..response(Status::NotFound) },
                Lie::Silence => return,
                Lie::Noise => return sender.write().extend_from_slice(b"\xf5CL\x01 no frame at all, whatever comes"),
            };
            said.encode(dialect, &mut sender.write());
        };
        // Without room for the task it says nothing.
        let _ = self.reactor.spawn(task);
    }

    /// Names any node, and a place where nobody is.
    fn moved(&self) -> Moved {
        let last = SlotId::new(SLOT_COUNT - 1).unwrap();
        let (node, epoch) = (1 + self.below(5) as u32, self.epoch());
        Moved { first: SlotId::ZERO, last, epoch, node, address: ([10, 66, 6, 6], 7401).into() }
    }
}
