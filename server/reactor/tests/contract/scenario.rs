//! Two cores of one process with a body each, on the kernel's rings and, for many seeds, on the simulated network.
//!
//! **Not** a scenario: these are in the files beside.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use reactor::sim::{NetworkOptions, World};
use reactor::{
    Address, Connection, ConnectionError, CoreId, CoreSpec, Detached, Host, ListenOptions, Listener, Mailbox, Reactor,
    Threads, WakeMethod, mailboxes,
};

/// What cores send each other in these scenarios.
pub(crate) enum Message {
    Address(Address),
    Connection(Detached),
    Number(u64),
    Done,
}

/// One core's view of a scenario.
pub(crate) struct Seat {
    pub(crate) reactor: Reactor,
    pub(crate) mailbox: Mailbox<Message>,
    /// Where to listen: a free port of the kernel's choice, or any address in the simulation.
    pub(crate) listen_on: Address,
}

impl Seat {
    pub(crate) async fn message(&self) -> Message {
        loop {
            if let Some((_, message)) = self.mailbox.try_receive() {
                return message;
            }
            self.mailbox.notified(&self.reactor).await;
        }
    }

    pub(crate) fn send(&self, to: u16, message: Message) {
        assert!(self.mailbox.send(&self.reactor, CoreId(to), message).is_ok(), "the mailbox is full");
    }

    /// On the kernel's rings any port is asked for.
    pub(crate) fn is_simulated(&self) -> bool {
        !matches!(&self.listen_on, Address::Tcp(address) if address.port() == 0)
    }

    pub(crate) fn listen(&self) -> Listener {
        self.reactor.listen(&self.listen_on, &ListenOptions::default()).unwrap()
    }

    pub(crate) async fn address(&self) -> Address {
        match self.message().await {
            Message::Address(address) => address,
            _ => panic!("expected the address first"),
        }
    }

    pub(crate) async fn connect(&self, address: &Address) -> Result<Connection, ConnectionError> {
        self.reactor.connect(address, self.reactor.now() + Duration::from_secs(10)).await
    }
}

pub(crate) type Body = fn(Rc<Seat>) -> Pin<Box<dyn Future<Output = ()>>>;

/// Two cores of one process, a body each; the scenario is over when both bodies are, and both cores hold nothing.
pub(crate) fn start(host: &mut dyn Host, listen_on: &Address, bodies: [Body; 2]) {
    let doorbells = host.doorbells(2).unwrap();
    let ends = mailboxes::<Message>(&doorbells, 64);
    for ((mailbox, body), index) in ends.into_iter().zip(bodies).zip(0..) {
        let spec =
            CoreSpec { id: CoreId(index), cpu: None, name: format!("seat {index}"), doorbells: doorbells.clone() };
        let listen_on = listen_on.clone();
        let first = move |reactor: Reactor| {
            let seat = Rc::new(Seat { reactor: reactor.clone(), mailbox, listen_on });
            let main = async move {
                let running = body(Rc::clone(&seat));
                let limit = seat.reactor.now() + Duration::from_secs(60);
                assert!(seat.reactor.until(limit, running).await.is_some(), "the scenario hangs");
                // What was dropped is given the time to end; then nothing may be left.
                while seat.reactor.holdings().connections + seat.reactor.holdings().listeners > 0 {
                    assert!(seat.reactor.now() < limit, "something leaks: {:?}", seat.reactor.holdings());
                    seat.reactor.sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(seat.reactor.holdings().queued_bytes, 0, "no connection is left to have queued it");
                seat.reactor.stop();
            };
            reactor.spawn(main).unwrap();
        };
        host.start_core(spec, Box::new(first)).unwrap();
    }
}

pub(crate) fn on_both(bodies: [Body; 2]) {
    let any_port = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    // Miri (`cargo xtask miri`) knows no rings, and needs no many seeds to see what a scenario does to memory.
    let (methods, seeds) = match cfg!(miri) {
        true => (&[][..], 2),
        false => (&[WakeMethod::EventFd, WakeMethod::MsgRing][..], 200),
    };
    for method in methods {
        let mut threads = Threads::new(Some(*method));
        start(&mut threads, &any_port, bodies);
        threads.join();
    }
    for seed in 0..seeds {
        let mut world = World::new(seed, NetworkOptions::default());
        let process = world.add_process("both");
        start(&mut world.host(process), &Address::Tcp(SocketAddr::from(([10, 0, 0, 1], 80))), bodies);
        let deadline = world.now() + Duration::from_secs(120);
        let ended = world.run_until(deadline, |world| !world.is_running(process));
        assert!(ended, "seed {seed}: hangs; {:?}", world.holdings(process));
        assert_eq!(world.open_endpoints(), 0, "seed {seed}: endpoints leak");
    }
}

macro_rules! body {
    (|$seat:ident| $code:expr) => {
        |$seat: std::rc::Rc<$crate::scenario::Seat>| Box::pin(async move { $code })
    };
}

/// Reads until the peer ends the stream.
pub(crate) async fn read_all(connection: &Connection) -> Result<Vec<u8>, ConnectionError> {
    let mut all = Vec::new();
    while let Some(data) = connection.receive().await? {
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// By how much what is sent grows; Miri takes a microsecond or more for each byte that is compared.
pub(crate) const STEP_BYTES: usize = if cfg!(miri) { 300 } else { 10_000 };

pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251) as u8).collect()
}
