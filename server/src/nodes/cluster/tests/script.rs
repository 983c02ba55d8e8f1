//! A node that follows a script.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use reactor::{Address, Connection, ConnectionSender, Instant, ListenOptions, Reactor};
use shardstore::placement::{NodeId, Topology};
use shardstore::session::{Handshake, SpareBuffers};
use shardstore::wire::code::{Kind, Opcode};
use shardstore::wire::hello::{self, Hello, Role};
use shardstore::wire::request::Dialect;
use shardstore::wire::{Flags, FrameError, Request, Response, Status};

/// What a node says to one request.
pub(super) enum Says {
    /// This, after so many milliseconds.
    Answer(u64, fn(Response<'static>) -> Response<'static>),
    /// A value in parts of 4 KiB, so many milliseconds before each; only the first so many of three are sent.
    Parts(u64, usize),
    /// Nothing, ever.
    Nothing,
    /// Nothing, and the connection ends.
    End,
}

/// What a node was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) op: Opcode,
    pub(super) epoch: u32,
    pub(super) core: u8,
    pub(super) is_idempotent: bool,
    pub(super) deadline_us: u32,
}

pub(super) struct Node {
    reactor: Reactor,
    hello: RefCell<Hello>,
    says: RefCell<VecDeque<Says>>,
    /// Requests, in their order.
    pub(super) asked: RefCell<Vec<Asked>>,
    /// Connections that have come.
    pub(super) accepted: Cell<usize>,
    /// The cores that connections have asked for.
    pub(super) wanted: RefCell<Vec<Option<u16>>>,
    /// It does not answer a HELLO.
    pub(super) is_deaf: Cell<bool>,
    /// Milliseconds that it takes for a HELLO, and that a connection lasts, at most; each is drawn. None: at once, and for ever.
    pub(super) is_frail: Cell<Option<(u64, u64)>>,
    /// It does not answer a PING.
    pub(super) is_mute: Cell<bool>,
    /// PINGs that have come.
    pub(super) pings: Cell<usize>,
}

/// Bytes of a part, and of the values that come in parts.
const PART_BYTES: u32 = 4096;
pub(super) const PARTED: &[u8] = &[b'p'; 3 * PART_BYTES as usize];

impl Node {
    pub(super) fn start(reactor: &Reactor, topology: &Topology, id: u32, says: Vec<Says>) -> Rc<Node> {
        let hello = Hello {
            version_min: shardstore::wire::VERSION_MIN,
            version_max: shardstore::wire::VERSION_MAX,
            role: Role::Node,
            hash_id: shardstore::key::HASH_ID_RAPIDHASH_V3,
            hash_seed: topology.hash_seed(),
            cores: 1,
            wanted_core: hello::WANTED_CORE_ANY,
            features: 0,
            node_id: id,
            topology_epoch: topology.epoch(),
            incarnation: 1,
            frame_value_bytes_max: PART_BYTES,
            value_bytes_max: 1 << 20,
            credit_requests: 8,
            credit_bytes: 1 << 20,
            batch_entries_max: 16,
            key_bytes_max: shardstore::key::STORED_KEY_BYTES_MAX as u16,
            cluster: topology.cluster().to_owned(),
            extension: None,
        };
        let node = Rc::new(Node {
            reactor: reactor.clone(),
            hello: RefCell::new(hello),
            says: RefCell::new(says.into()),
            asked: RefCell::default(),
            accepted: Cell::new(0),
            wanted: RefCell::default(),
            is_deaf: Cell::new(false),
            is_frail: Cell::new(None),
            is_mute: Cell::new(false),
            pings: Cell::new(0),
        });
        let address = Address::Tcp(topology.node(NodeId(id)).unwrap().address.on_the_wire());
        let listener = reactor.listen(&address, &ListenOptions::default()).unwrap();
        let accepting = Rc::clone(&node);
        let accept = async move {
            while let Ok(connection) = listener.accept().await {
                accepting.accepted.set(accepting.accepted.get() + 1);
                let serving = Rc::clone(&accepting);
                accepting.reactor.spawn(async move { serving.serve(connection).await }).unwrap();
            }
        };
        reactor.spawn(accept).unwrap();
        node
    }

    /// Changes what it says of itself from the next connection on.
    pub(super) fn introduce(&self, change: impl FnOnce(&mut Hello)) {
        change(&mut self.hello.borrow_mut());
    }

    pub(super) fn has_said_all(&self) -> bool {
        self.says.borrow().is_empty()
    }

    /// What was asked, by operation.
    pub(super) fn ops(&self) -> Vec<Opcode> {
        self.asked.borrow().iter().map(|asked| asked.op).collect()
    }

    async fn serve(self: Rc<Self>, connection: Connection) {
        connection.set_deadline(Instant::NEVER);
        let mut spares = SpareBuffers::default();
        if self.is_deaf.get() {
            while let Ok(Some(_)) = connection.receive().await {}
            return;
        }
        if let Some((hello_ms, life_ms)) = self.is_frail.get() {
            let drawn = |ms| Duration::from_millis(self.reactor.random() % ms);
            connection.set_deadline(self.reactor.now() + drawn(life_ms));
            self.reactor.sleep(drawn(hello_ms)).await;
        }
        let hello = self.hello.borrow().clone();
        let mut handshake = Handshake::begin(hello, &mut connection.write());
        let terms = loop {
            let Ok(Some(data)) = connection.receive().await else { return };
            match handshake.receive(&data, &mut spares) {
                Ok(Some(terms)) => break terms,
                Ok(None) => {}
                Err(_) => return,
            }
        };
        self.wanted.borrow_mut().push(terms.core);
        let mut reader = handshake.into_reader();
        let mut data = Vec::new();
        loop {
            let mut requests = Vec::new();
            let take = |frame: &shardstore::wire::Frame<'_>, _: &[u8]| {
                // A HELLO that comes later announces another map.
                if frame.header.kind != Kind::Control {
                    let request = Request::parse(frame)?;
                    requests.push((request.id, self.note(&request)));
                }
                Ok::<_, FrameError>(ControlFlow::Continue(()))
            };
            reader.read(&data, &terms.limits, &mut spares, take).expect("a cluster writes what its node can read");
            for (id, says) in requests {
                if matches!(says, Some(Says::End)) {
                    return;
                }
                let (node, sender) = (Rc::clone(&self), connection.sender());
                let answer = async move { node.answer(id, says, &sender, terms.dialect()).await };
                self.reactor.spawn(answer).unwrap();
            }
            match connection.receive().await {
                Ok(Some(received)) => data = received.to_vec(),
                _ => return,
            }
        }
    }

    /// What to say to a request.
    fn note(&self, request: &Request<'_>) -> Option<Says> {
        if request.op.opcode() == Opcode::Ping {
            self.pings.set(self.pings.get() + 1);
            return Some(if self.is_mute.get() { Says::Nothing } else { Says::Answer(0, |response| response) });
        }
        self.asked.borrow_mut().push(Asked {
            op: request.op.opcode(),
            epoch: request.slot_epoch,
            core: request.core,
            is_idempotent: request.flags.contains(Flags::IDEMPOTENT),
            deadline_us: request.deadline_us,
        });
        Some(self.says.borrow_mut().pop_front().expect("asked no more often than the test says"))
    }

    async fn answer(&self, id: u64, says: Option<Says>, sender: &ConnectionSender, dialect: Dialect) {
        match says {
            Some(Says::Answer(ms, of)) => {
                self.reactor.sleep(Duration::from_millis(ms)).await;
                of(Response::new(id, Status::Ok)).encode(dialect, &mut sender.write());
            }
            Some(Says::Parts(ms, count)) => {
                let response = Response { version: 1, ..Response::new(id, Status::Ok).with_payload(PARTED) };
                for part in shardstore::wire::reassembly::split(PARTED.len() as u32, PART_BYTES).take(count) {
                    self.reactor.sleep(Duration::from_millis(ms)).await;
                    let out = &mut sender.write();
                    response.encode_head(dialect, part, out);
                    out.extend_from_slice(&PARTED[part.range()]);
                }
            }
            None | Some(Says::Nothing | Says::End) => {}
        }
    }
}
