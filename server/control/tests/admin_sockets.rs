//! The admin listener on the kernel's sockets, asked by plain blocking clients.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    io::{Read, Write},
    net::SocketAddr,
    rc::Rc,
    sync::mpsc,
    time::Duration,
};

use control::{
    ListenRefusal,
    admin::{self, Admin, AdminPage, DrainCommand, PageRequest, Readiness},
    metrics::{Build, ProcessUsage, Text},
};
use corelane_http::{Method, Status};
use reactor::{Address, CoreId, CoreSpec, Host, Reactor, Threads};
use serde_json::{Value, json};

#[expect(clippy::disallowed_types, reason = "a client that knows nothing of the reactor")]
type Socket = std::net::TcpStream;

/// Longer than anything here takes; a test that hangs ends with an error of the socket.
const PATIENCE: Duration = Duration::from_secs(20);

struct Binary {
    reactor: Reactor,
}

impl Admin for Binary {
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn metrics(&self, text: &mut Text) {
        let usage = ProcessUsage::read().expect("a process can read its own /proc");
        usage.render(&Build::of("corelane"), text);
    }

    fn status(&self) -> Value {
        let held = self.reactor.holdings();
        json!({ "connections": held.connections, "tasks": held.tasks })
    }

    fn config(&self) -> Value {
        json!({})
    }

    fn command(&self, _: DrainCommand) -> AdminPage {
        AdminPage::text(Status::Ok, "done\n")
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<AdminPage> {
        (request.method == Method::Post && request.path == "/stop").then(|| {
            self.reactor.stop();
            AdminPage::text(Status::Ok, "stopping\n")
        })
    }
}

/// Starts a control core that listens on `address`; what came of it.
fn start(threads: &mut Threads, address: Address) -> Result<SocketAddr, (std::io::ErrorKind, String)> {
    let (bound, is_bound) = mpsc::channel();
    let doorbells = threads.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "control".into(), doorbells };
    let body = move |reactor: Reactor| {
        let binary = Binary { reactor: reactor.clone() };
        let served = admin::serve(&reactor, &address, (None, None), Rc::new(binary));
        let outcome = served.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ListenRefusal>());
            assert!(matches!(inner, Some(ListenRefusal::InUse { .. })), "{error}");
            (error.kind(), error.to_string())
        });
        bound.send(outcome).unwrap();
    };
    threads.start_core(spec, Box::new(body)).unwrap();
    match is_bound.recv().unwrap()? {
        Address::Tcp(address) => Ok(address),
        other => panic!("{other} was not asked for"),
    }
}

fn connect(address: SocketAddr) -> Socket {
    let socket = Socket::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends one request whose answer is the last of its connection, and reads that to its end.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut socket = connect(address);
    socket.write_all(format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_process_answers_about_itself_until_it_is_stopped() {
    let mut threads = Threads::new(None);
    let any_port = Address::Tcp(([127, 0, 0, 1], 0).into());
    let address = start(&mut threads, any_port).unwrap();

    for (request, status, part) in [
        ("GET /healthz", "200 OK", "\r\n\r\nok\n"),
        ("HEAD /healthz", "200 OK", "Content-Length: 3\r\n"),
        ("GET /readyz", "200 OK", "\"ready\": true"),
        ("GET /metrics", "200 OK", "\ncorelane_process_cpu_seconds_total{thread=\"control\",mode=\"user\"} "),
        ("GET /v1/status", "200 OK", "\"connections\": 1"),
        ("GET /v1/config", "200 OK", "{}"),
        ("GET /nothing", "404 Not Found", "urn:corelane:problem:not-found"),
        ("PUT /metrics", "405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        assert!(answer.contains(part), "{request}: {answer}");
        assert!(answer.contains("\r\nConnection: close"), "{request}: {answer}");
    }

    // Byte by byte, two requests on one connection, the second of which cannot be.
    let mut socket = connect(address);
    socket.set_nodelay(true).unwrap();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\nHost: a\n\n" {
        if socket.write_all(&[*byte]).is_err() {
            break;
        }
    }
    let mut answers = String::new();
    socket.read_to_string(&mut answers).unwrap();
    assert!(
        answers.starts_with("HTTP/1.1 200 OK\r\n") && answers.contains("\nHTTP/1.1 400 Bad Request\r\n"),
        "{answers}"
    );

    assert!(ask(address, "POST /stop").ends_with("stopping\n"));
    threads.join();
    assert!(Socket::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn an_address_in_use_is_refused_with_the_key_and_a_remedy() {
    let mut threads = Threads::new(None);
    let any_port = Address::Tcp(([127, 0, 0, 1], 0).into());
    let address = start(&mut threads, any_port).unwrap();
    let (kind, text) = start(&mut threads, Address::Tcp(address)).unwrap_err();
    assert_eq!(kind, std::io::ErrorKind::AddrInUse);
    assert!(text.starts_with(&format!("admin: {address} is in use")) && text.contains("--admin"), "{text}");
    ask(address, "POST /stop");
    threads.join();
}
