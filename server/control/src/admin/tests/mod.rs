//! The admin listener on the simulated network: what it answers, when it gives up, and that it keeps nothing.

mod cases;
mod hostile;
mod limits;

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use corelane_http::h1::{Parsed, response};
use corelane_http::{MessageLimits, Method};
use reactor::{
    Address, Connection, CoreId, CoreSpec, Host, Reactor,
    sim::{NetworkOptions, ProcessId, World},
};
use serde_json::{Value, json};

use super::{Admin, AdminPage, DrainCommand, PageRequest, Readiness, serve};
use crate::metrics::{Family, Text};

const HITS: Family = Family::counter("corelane_hits_total", &[], "Lookups that found the key.");

/// Bytes of the page `/big`.
const BIG_BYTES: usize = 100_000;

/// A binary with little to tell. `POST /ready` makes it ready.
#[derive(Default)]
struct Fake {
    is_ready: Cell<bool>,
    big_pages: Rc<Cell<usize>>,
    seen: RefCell<Vec<String>>,
}

impl Admin for Fake {
    fn readiness(&self) -> Readiness {
        match self.is_ready.get() {
            true => Readiness::Ready,
            false => Readiness::NotReady(vec!["no topology".into(), "a \"reason\"".into()]),
        }
    }

    fn metrics(&self, text: &mut Text) {
        (0..2).for_each(|core| text.sample(&HITS, &[("core", &core)], 7_u64));
    }

    fn status(&self) -> Value {
        json!({ "version": "0.1.0", "cores": [0, 1] })
    }

    fn config(&self) -> Value {
        json!({ "memory": { "value": "4GiB", "from": "flag --memory" } })
    }

    fn command(&self, command: DrainCommand) -> AdminPage {
        self.seen.borrow_mut().push(format!("{command:?}"));
        AdminPage::json(corelane_http::Status::Ok, &json!({ "drain": command == DrainCommand::Drain }))
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<AdminPage> {
        self.seen.borrow_mut().push(format!("{request:?}"));
        match (request.method, request.path) {
            (Method::Get, "/big") => {
                self.big_pages.set(self.big_pages.get() + 1);
                Some(AdminPage::text(corelane_http::Status::Ok, "x".repeat(BIG_BYTES)))
            }
            (Method::Get, "/query") => {
                Some(AdminPage::text(corelane_http::Status::Ok, request.query.unwrap_or("none")))
            }
            (Method::Post, "/ready") => {
                self.is_ready.set(request.query != Some("no"));
                Some(AdminPage::json(corelane_http::Status::Ok, &json!(true)))
            }
            _ => None,
        }
    }
}

/// An answer as a client reads it.
#[derive(Debug)]
struct Answer {
    status: u16,
    keeps_open: bool,
    fields: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A client's core, and where the listener is.
#[derive(Clone)]
struct Client {
    reactor: Reactor,
    address: Address,
}

impl Client {
    async fn connect(&self) -> Connection {
        self.reactor.connect(&self.address, self.reactor.now() + Duration::from_secs(10)).await.expect("it listens")
    }

    fn below(&self, bound: usize) -> usize {
        (self.reactor.random() % bound.max(1) as u64) as usize
    }

    /// Sends bytes in pieces of any size, some of them some time apart.
    async fn send_in_pieces(&self, connection: &Connection, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let piece = match self.below(4) {
                0 => 1,
                1 => bytes.len(),
                _ => 1 + self.below(bytes.len().min(40)),
            };
            connection.write().extend_from_slice(&bytes[..piece]);
            bytes = &bytes[piece..];
            if self.below(3) == 0 {
                self.reactor.sleep(Duration::from_millis(self.below(4) as u64)).await;
            } else {
                self.reactor.yield_now().await;
            }
        }
    }

    /// Reads answers to requests of these methods, then to `GET` if there are more, until the stream ends or, when
    /// `count` is given, until there are so many. The flag says whether the stream has ended.
    async fn read(&self, connection: &Connection, methods: &[Method], count: Option<usize>) -> (Vec<Answer>, bool) {
        let (mut bytes, mut answers) = (Vec::new(), Vec::new());
        connection.set_deadline(self.reactor.now() + Duration::from_secs(300));
        loop {
            while let Some(answer) = take_answer(&mut bytes, *methods.get(answers.len()).unwrap_or(&Method::Get)) {
                answers.push(answer);
            }
            if count.is_some_and(|count| answers.len() >= count) {
                assert!(bytes.is_empty(), "bytes that nobody asked for: {:?}", String::from_utf8_lossy(&bytes));
                return (answers, false);
            }
            match connection.receive().await {
                Ok(Some(data)) => bytes.extend_from_slice(&data),
                Ok(None) => break,
                Err(error) => panic!("{error} after {answers:?}"),
            }
        }
        assert!(bytes.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&bytes));
        (answers, true)
    }
}

/// Takes one whole answer off.
fn take_answer(bytes: &mut Vec<u8>, method: Method) -> Option<Answer> {
    let parsed = response::parse(bytes, &MessageLimits::default(), method).expect("answers are well-formed");
    let Parsed::Complete(head) = parsed else { return None };
    let body_bytes = match head.body() {
        response::ResponseBody::None => 0,
        response::ResponseBody::Length(length) => usize::try_from(length).unwrap(),
        other => panic!("{other:?}"),
    };
    let end = head.head_bytes() + body_bytes;
    let body = bytes.get(head.head_bytes()..end)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let answer = Answer {
        status: head.status(),
        keeps_open: head.keep_alive(),
        fields: head.fields().map(|(name, value)| (text(name), text(value))).collect(),
        body: text(body),
    };
    bytes.drain(..end);
    Some(answer)
}

type Script = fn(Client) -> Pin<Box<dyn Future<Output = ()>>>;

/// One listener and one client, until the client's script is over; then the listener must hold nothing but itself.
fn simulate(seed: u64, network: NetworkOptions, script: Script) {
    simulate_with(seed, network, script, |reactor, address| {
        serve(reactor, address, (None, None), Rc::new(Fake::default())).unwrap()
    });
}

/// The same with this listener.
fn simulate_with(seed: u64, network: NetworkOptions, script: Script, open: fn(&Reactor, &Address) -> Address) {
    let mut world = World::new(seed, network);
    let address = Address::Tcp(([10, 0, 0, 1], 9180).into());
    let (server, client) = (world.add_process("server"), world.add_process("client"));
    let listen_on = address.clone();
    start(&mut world, server, move |reactor| {
        assert_eq!(open(&reactor, &listen_on), listen_on);
    });
    start(&mut world, client, move |reactor| {
        let client = Client { reactor: reactor.clone(), address };
        reactor.spawn(script(client)).unwrap();
    });
    let deadline = world.now() + Duration::from_secs(3600);
    let ended = world.run_until(deadline, |world| !world.is_running(client));
    assert!(ended, "seed {seed}: the client hangs: {:?}", world.holdings(client));
    world.run_for(Duration::from_secs(200));
    let held = world.holdings(server)[0];
    assert_eq!((held.tasks, held.connections, held.timers, held.listeners), (1, 0, 0, 1), "seed {seed}: {held:?}");
    assert_eq!(world.open_endpoints(), 0, "seed {seed}");
}

fn start(world: &mut World, process: ProcessId, body: impl FnOnce(Reactor) + Send + 'static) {
    let mut host = world.host(process);
    let doorbells = host.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "control".into(), doorbells };
    host.start_core(spec, Box::new(body)).unwrap();
}

macro_rules! script {
    (|$client:ident| $code:expr) => {
        |$client: super::Client| Box::pin(async move { $code })
    };
}
use script;
