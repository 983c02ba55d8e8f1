//! Edges behind a real balancer, HAProxy: a restart of each in turn fails no request.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use support::client::Client;
use support::server::{Addresses, Running, Waiting, own_folder, program};
use support::tool;

const GET: &str = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    answered: usize,
    /// What came instead of an answer.
    failed: Vec<String>,
}

/// Clients that ask without a pause: some on connections that they keep, some on a new one each time.
struct Clients {
    threads: Vec<JoinHandle<Seen>>,
    is_over: Arc<AtomicBool>,
}

impl Clients {
    #[expect(clippy::disallowed_methods, reason = "a test has no reactor; clients that block need threads")]
    fn start(address: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = [true, true, true, false].map(|keeps| {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || ask(address, keeps, &is_over))
        });
        Clients { threads: threads.into(), is_over }
    }

    fn finish(self) -> Vec<Seen> {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

fn ask(address: SocketAddr, keeps: bool, is_over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut client = None;
    while !is_over.load(Ordering::Relaxed) && seen.failed.len() < 10 {
        let connected: &mut Client = client.get_or_insert_with(|| Client::connect(address));
        connected.try_send(GET.as_bytes());
        let answer = connected.answer();
        let stays = keeps && answer.as_ref().is_ok_and(|answer| !answer.closes());
        match answer {
            // Each edge is its own store, and nobody has stored anything.
            Ok(answer) if answer.status == 404 => seen.answered += 1,
            other => seen.failed.push(format!("after {}: {other:?}", seen.answered)),
        }
        if !stays {
            client = None;
        }
    }
    seen
}

/// An edge that is a lame duck for two seconds.
fn start_edge(addresses: &Addresses) -> Running {
    let mut command = program(env!("CARGO_BIN_EXE_corelane"));
    command.args(addresses.flags()).args(["--cores=0", "--memory=64MiB", "--lame-duck=2s"]).stderr(Stdio::null());
    let edge = Running(command.spawn().unwrap());
    addresses.await_ready();
    edge
}

/// Requests that an edge has served.
fn served(addresses: &Addresses) -> f64 {
    let page = Client::connect(addresses.admin).ask("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    let text = String::from_utf8(page.body).unwrap();
    let samples = text.lines().filter(|line| line.starts_with("corelane_http_requests_total"));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

fn await_traffic(addresses: &Addresses) {
    let waiting = Waiting::begin();
    while served(addresses) == 0.0 {
        waiting.go_on(|| "the balancer sends this edge nothing".to_owned());
    }
}

/// HAProxy in front of the edges: it looks at their readiness, and tries nothing twice.
fn start_haproxy(folder: &Path, front: SocketAddr, edges: &[Addresses]) -> tool::Running {
    let server = |(index, edge): (usize, &Addresses)| {
        let Addresses { listen, admin } = edge;
        format!(
            "  server edge{index} {listen} check addr {} port {} inter 200ms fall 2 rise 1\n",
            admin.ip(),
            admin.port()
        )
    };
    let servers: String = edges.iter().enumerate().map(server).collect();
    let text = format!(
        "global\n  maxconn 1000\ndefaults\n  mode http\n  retries 0\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         frontend front\n  bind {front}\n  default_backend edges\n\
         backend edges\n  balance roundrobin\n  option httpchk GET /readyz\n{servers}"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(tool::find("haproxy", "haproxy"));
    tool::Running::start(command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()), front)
}

#[test]
fn edges_that_restart_in_turn_behind_haproxy_fail_no_request() {
    let folder = own_folder();
    let addresses = [(); 3].map(|()| Addresses::own());
    let mut edges: Vec<Running> = addresses.iter().map(start_edge).collect();
    let front = Addresses::own().listen;
    let _haproxy = start_haproxy(&folder, front, &addresses);
    let clients = Clients::start(front);
    addresses.iter().for_each(await_traffic);
    for (edge, addresses) in edges.iter_mut().zip(&addresses) {
        edge.signal("TERM");
        assert_eq!(edge.await_end(), Some(0));
        *edge = start_edge(addresses);
        await_traffic(addresses);
    }
    let seen = clients.finish();
    let _ = std::fs::remove_dir_all(folder);
    assert!(seen.iter().all(|seen| seen.failed.is_empty()), "{seen:#?}");
    let answered: usize = seen.iter().map(|seen| seen.answered).sum();
    assert!(answered > 100, "{answered} requests are no load");
}
